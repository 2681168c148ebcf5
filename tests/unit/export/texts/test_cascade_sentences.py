"""A student's bar is chosen on sentences that neither model was trained on, in whichever file they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from export.texts.cascade_sentences import CascadeSentences, cascade_sentences
from export.texts.data_file import DataFile, read_data
from training.data.examples import Example
from training.data.split import SplitName
from training.data.split_record import SplitRecord

SPLITS: dict[SplitName, range] = {"train": range(10), "validation": range(10, 16), "test": range(16, 20)}
NEW = range(20, 26)


def texts(numbers: range) -> set[str]:
    return {f"sentence {number}" for number in numbers}


def write(path: Path, *numbers: range) -> DataFile:
    rows = [f"sentence {number},a" for some in numbers for number in some]
    path.write_text("\n".join(["text,label", *rows]))
    return read_data(path)


def deal(read: dict[str, DataFile], kept: Sequence[str] = ()) -> CascadeSentences:
    splits = {name: [Example(text, "a", text) for text in texts(numbers)] for name, numbers in SPLITS.items()}
    record = SplitRecord.of("data.csv", "0" * 64, "rows", splits)  # type: ignore[arg-type]
    return cascade_sentences(read, (record, record), kept)


def test_of_the_file_that_was_trained_on_the_validation_split_chooses_and_the_test_split_reports(
    tmp_path: Path,
) -> None:
    found = deal({"--data": write(tmp_path / "data.csv", *SPLITS.values())}, ["sentence 11", "sentence 17"])
    assert set(found.choosing) == texts(SPLITS["validation"]) - {"sentence 11"}
    assert set(found.reporting) == texts(SPLITS["test"]) - {"sentence 17"}
    assert found.origin == "validation split of data.csv"
    assert found.truth == dict.fromkeys(found.reporting, "a")


@pytest.mark.parametrize(
    ("option", "chosen"),
    [
        ("--validation", texts(SPLITS["validation"]) | texts(NEW)),
        ("--cascade-texts", texts(SPLITS["validation"]) | texts(NEW)),
        ("--calibration", texts(SPLITS["validation"])),  # what is new to both may be known to the model before them
    ],
)
def test_split_files_choose_beside_a_test_split(tmp_path: Path, option: str, chosen: set[str]) -> None:
    files = {
        "--data": write(tmp_path / "test.csv", SPLITS["test"]),
        option: write(tmp_path / "more.csv", *SPLITS.values(), NEW),
    }
    found = deal(files)
    assert set(found.choosing) == chosen
    assert set(found.reporting) == texts(SPLITS["test"])
    assert found.origin == "more.csv"


def test_a_file_of_training_sentences_alone_is_not_named(tmp_path: Path) -> None:
    files = {
        "--data": write(tmp_path / "data.csv", SPLITS["validation"]),
        "--calibration": write(tmp_path / "train.csv", SPLITS["train"]),
        "--cascade-texts": write(tmp_path / "asked.csv", NEW),
    }
    assert deal(files).origin == "validation split of data.csv and asked.csv"
