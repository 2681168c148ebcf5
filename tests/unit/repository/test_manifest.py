"""A manifest is read back as it was written, and one that is wrong is refused with the field that is wrong."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from repository.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    FigureChange,
    JudgedTexts,
    Judgement,
    Manifest,
    Precision,
    RepositoryError,
)
from tests.version_folders import note_weights, write_version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"})


def test_round_trip(folder: Path) -> None:
    manifest = Manifest.read(folder)
    manifest.write(folder)
    assert Manifest.read(folder) == manifest


def test_which_weights_it_was_exported_from_is_told_without_a_field_that_older_gateways_refuse(folder: Path) -> None:
    before = json.loads((folder / MANIFEST_FILE).read_text())
    assert Manifest.read(folder).weights is None
    note_weights(folder, f"{'0' * 64}  model.safetensors\n")
    manifest = Manifest.read(folder)
    manifest.verify_files(folder)
    assert manifest.weights == hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert json.loads((folder / MANIFEST_FILE).read_text()).keys() == before.keys()


def test_what_a_precision_was_judged_by_is_kept_and_nothing_is_written_where_none_was(folder: Path) -> None:
    before = Manifest.read(folder)
    assert before.judgements == []
    assert "judgements" not in json.loads((folder / MANIFEST_FILE).read_text())
    judgement = Judgement(
        precision=Precision.INT8,
        margin=0.005,
        groups=72,
        judged=[JudgedTexts(origin="validation split of maps.csv", texts=674, changes=3, confident_changes=0)],
        agreement_at_worst=0.98,
        figures={"accuracy": FigureChange(value=0.0, at_worst=-0.003)},
        speedup=1.5,
        objections=["too slow"],
    )
    before.model_copy(update={"judgements": [judgement]}).write(folder)
    assert Manifest.read(folder).judgements == [judgement]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"labels": []}, "labels"),
        ({"labels": ["A", "A"]}, "labels must differ"),
        ({"surprise": 1}, "surprise"),
        ({"files": {}}, "files must list model.onnx"),
        ({"problem_type": "ranking"}, "problem_type"),
        ({"max_length": 0}, "max_length"),
    ],
)
def test_a_wrong_field_is_named(folder: Path, change: dict[str, object], named: str) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RepositoryError, match=named):
        Manifest.read(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "a/b",
        "..",
        "manifest.json",
        "",
        ".",
        ".x",
        "a\\b",
        "a\0",
        "a\n",
        "a\u202e",
        "x" * 256,
    ],
)
def test_a_file_outside_the_version_is_refused(folder: Path, name: str) -> None:
    path = folder / MANIFEST_FILE
    content = json.loads(path.read_text())
    content["files"][name] = content["files"]["model.onnx"]
    path.write_text(json.dumps(content))
    with pytest.raises(RepositoryError, match="plain names"):
        Manifest.read(folder)


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"schema_version": 1'])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST_FILE).write_text(text)
    with pytest.raises(RepositoryError, match="not a valid manifest"):
        Manifest.read(folder)


def test_a_version_that_is_retracted_while_its_files_are_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.file_digest

    def lose_it_meanwhile(stream: Any, name: str) -> Any:
        (folder / MODEL_FILE).unlink()
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", lose_it_meanwhile)
    with pytest.raises(RepositoryError, match=r"model\.onnx cannot be read: No such file"):
        Manifest.read(folder).verify_files(folder, [MODEL_FILE])
