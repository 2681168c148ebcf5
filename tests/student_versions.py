"""Small real versions that hold a student: a second graph that counts the same words with other weights."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE, Cascade, CascadeBar
from repository.golden import GOLDEN_FILE
from repository.manifest import MODEL_FILE, Manifest, digest_file
from tests.version_folders import write_golden, write_version

BARS = (0.9, 0.99)


def cascade(temperature: float = 1.0, bars: Sequence[float] = BARS, delta: float = 0.005) -> Cascade:
    """The block of a manifest; its counts are those of no sentences in particular."""
    counted = {"sentences": 1000, "answered": 600, "disagreed": 0, "upper_bound": 0.002992}
    return Cascade(
        source="student",
        precision="fp32",
        delta=delta,
        temperature=temperature,
        bars=[CascadeBar(bar=bar, **counted) for bar in bars],
        origin="validation split of test.csv",
        cost=0.3,
    )


def write_with_student(
    folder: Path,
    words: dict[str, str],
    sure: Mapping[str, float],
    block: Cascade | None = None,
    golden: Sequence[str] = (),
    layers: int = 0,
) -> Path:
    """A version as `write_version` writes it, whose student votes for the same labels with the weights in `sure`.

    Words that are not in `sure` have a weight of 0.1 to the student: it is not sure of them.
    """
    write_version(folder, words, golden=golden, layers=layers)
    return add_student(folder, words, {word: sure.get(word, 0.1) for word in words}, block or cascade(), golden)


def add_student(
    folder: Path, words: dict[str, str], weights: Mapping[str, float], block: Cascade, golden: Sequence[str] = ()
) -> Path:
    """Put a student with these weights into a version."""
    student = write_version(folder.parent / f"{folder.name}-student", words, weights=weights)
    if golden:
        write_golden(student, golden)
    manifest = Manifest.read(folder)
    files = dict(manifest.files)
    for name, target in ((MODEL_FILE, STUDENT_FILE), (GOLDEN_FILE, STUDENT_GOLDEN_FILE)):
        if (student / name).is_file():
            shutil.copyfile(student / name, folder / target)
            files[target] = digest_file(folder / target)
    manifest.model_copy(update={"cascade": block, "files": files}).write(folder)
    shutil.rmtree(student)
    return folder
