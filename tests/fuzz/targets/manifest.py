"""`repository/manifest.py`: what is read is written the same again, and what is none is one error of one kind.

Input: the bytes of a `manifest.json`.
"""

from repository.manifest import Manifest, RepositoryError

FILES = ("repository/manifest.py", "repository/cascade.py", "repository/meaning/fits.py", "repository/names.py")
WORDS = (
    b'"schema_version": 1',
    b'"created_at": "2026-01-01T00:00:00Z"',
    b'"created_at": "2026-01-01T00:00:00+23:59"',
    b'"problem_type": "multi_label_classification"',
    b'"problem_type": "regression"',
    b'"thresholds": {',
    b'"calibration": {',
    b'"coverage": {',
    b'"cascade": {',
    b'"judgements": [',
    b'"evaluation": {',
    b'"figures": {',
    b'"republished_from": ',
    b'"held_out": "maps"',
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-0.0",
    b"1e-400",
    b"9223372036854775808",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"../x"',
)
MOST_CHARACTERS = 600
"""Of a sentence that somebody is to read."""


def check(data: bytes) -> None:
    """Raises AssertionError: the manifest breaks a promise."""
    try:
        manifest = Manifest.parse(data, "folder")
    except RepositoryError as error:
        said = str(error)
        assert said.startswith("folder/manifest.json is not a valid manifest (")
        assert len(said) <= MOST_CHARACTERS, f"{len(said)} characters"
        return
    text = manifest.text()
    again = Manifest.parse(text.encode(), "folder")
    assert again == manifest
    assert again.text() == text
