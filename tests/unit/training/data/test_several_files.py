"""Data that comes in parts: several files, files to choose and to test on, data sets of splits, classes by number."""

from pathlib import Path

import datasets
import pytest

from repository.manifest import ProblemType
from tests.table_formats import WANTED, rows_of, table_of, write_delimited, write_lines
from training.data.columns import Wanted
from training.data.load import load_data


def test_groups_span_files(tmp_path: Path) -> None:
    halves = rows_of()[::2], rows_of()[1::2]
    files = [write_delimited(tmp_path / f"{number}.csv", half, ",") for number, half in enumerate(halves)]
    data = load_data(files, "groups", WANTED)
    split_of: dict[str, set[str]] = {}
    for name, members in data.splits.items():
        for one in members:
            split_of.setdefault(one.group, set()).add(name)
    assert len(split_of) == 8
    assert all(len(names) == 1 for names in split_of.values())


def test_a_validation_file_alone_leaves_the_test_split_to_be_dealt(tmp_path: Path) -> None:
    train, validation = rows_of(8), [row | {"text": f"own {row['text']}"} for row in rows_of(2)]
    files = [write_delimited(tmp_path / f"{name}.csv", r, ",") for name, r in (("t", train), ("v", validation))]
    data = load_data(files[0], "groups", WANTED, validation=[files[1]])
    assert [one.text for one in data.splits["validation"]] == [row["text"] for row in validation]
    assert data.splits["test"]
    assert len(data.splits["train"]) + len(data.splits["test"]) == len(train)


def test_a_data_set_of_train_and_test_has_its_validation_dealt_from_train(tmp_path: Path) -> None:
    parts = {"train": rows_of(8), "test": [row | {"text": f"own {row['text']}"} for row in rows_of(2)]}
    datasets.DatasetDict({name: datasets.Dataset(table_of(rows)) for name, rows in parts.items()}).save_to_disk(
        str(tmp_path / "d")
    )
    data = load_data(tmp_path / "d", "groups", WANTED)
    assert [one.text for one in data.splits["test"]] == [row["text"] for row in parts["test"]]
    assert data.splits["validation"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_label_of_one_or_two_rows_beside_others_does_not_stop_training(tmp_path: Path, times: int) -> None:
    rows = [{"text": f"text {n}", "label": ["a", "b"] if n % 3 else ["a"]} for n in range(30)]
    for number in range(times):
        rows[number]["label"] = ["a", "rare"]
    data = load_data(write_lines(tmp_path / "d.jsonl", rows), "groups", Wanted(("text",), "label"))
    assert data.labels == ["a", "b", "rare"]
    assert sum("rare" in one.labels for one in data.splits["train"]) == times
    assert any(f"rare ({times}" in warning for warning in data.warnings)


def test_classes_by_number_are_read_by_name(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["good", "bad"])
    text = datasets.Value("string")
    one = {"text": [f"text {n}" for n in range(12)], "label": [n % 2 for n in range(12)]}
    single = datasets.Dataset.from_dict(one, features=datasets.Features({"text": text, "label": names}))
    single.save_to_disk(str(tmp_path / "one"))
    assert load_data(tmp_path / "one").labels == ["bad", "good"]
    several = {"text": one["text"], "label": [[n % 2] if n % 3 else [0, 1] for n in range(12)]}
    features = datasets.Features({"text": text, "label": datasets.Sequence(names)})
    datasets.Dataset.from_dict(several, features=features).save_to_disk(str(tmp_path / "several"))
    data = load_data(tmp_path / "several")
    assert data.task is ProblemType.MULTI_LABEL
    assert data.labels == ["bad", "good"]
