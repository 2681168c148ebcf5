"""What cannot be trained on is refused in one line that says where and why, in every format, before anything starts."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from training.columns import TASKS, Wanted
from training.data import DataError, load_data

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

Rows = Sequence[dict[str, Any]]
COLUMNS = Wanted(text=("body",), label="topic")


def rows_of(labels: Sequence[Any] = ("a", "b"), each: int = 6) -> list[dict[str, Any]]:
    return [{"body": f"text {n} of {place}", "topic": label} for place, label in enumerate(labels) for n in range(each)]


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["body", "topic"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_packed(path: Path, rows: Rows) -> Path:
    path.write_bytes(gzip.compress(write_csv(path.with_suffix(""), rows).read_bytes()))
    return path


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_json(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Rows) -> Path:
    names = list(rows[0]) if rows else ["body", "topic"]
    parquet.write_table(pyarrow.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


def save_dataset(path: Path, rows: Rows) -> Path:
    names = list(rows[0]) if rows else ["body", "topic"]
    found = datasets.Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})
    found.save_to_disk(str(path))
    return path


def save_splits(path: Path, rows: Rows) -> Path:
    names = list(rows[0]) if rows else ["body", "topic"]
    found = datasets.Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})
    datasets.DatasetDict({"train": found}).save_to_disk(str(path))
    return path


def write_hub_folder(path: Path, rows: Rows) -> Path:
    (path / "data").mkdir(parents=True)
    write_parquet(path / "data" / "train-00000-of-00001.parquet", rows)
    return path


WRITERS: dict[str, Callable[[Path, Rows], Path]] = {
    "a.csv": write_csv,
    "a.tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "a.csv.gz": write_packed,
    "a.jsonl": write_jsonl,
    "a.json": write_json,
    "a.parquet": write_parquet,
    "saved": save_dataset,
    "saved-splits": save_splits,
    "hub": write_hub_folder,
}
FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a missing column": ([{"body": "x", "kind": "a"}], "topic"),
    "nothing": ([], ""),
    "one class": (rows_of(("a",)), "column topic: there is the one class a"),
    "a class with one text": ([*rows_of(), {"body": "alone", "topic": "c"}], "class c has 1 texts"),
    "no label at all": (rows_of(("", None)), "topic is empty in 12 of 12 rows"),
}
# What a text field cannot hold.
TYPED = ("a.jsonl", "a.json", "a.parquet", "saved", "saved-splits", "hub")


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_data(*arguments, **named)
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 500
    return message


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITERS)
def test_each_fault_is_named_in_each_format(tmp_path: Path, name: str, fault: str) -> None:
    rows, expected = FAULTS[fault]
    path = WRITERS[name](tmp_path / name, rows)
    message = refusal(path, wanted=COLUMNS)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], "column topic: a list of labels, where every row has one"),
        (True, "column topic: true, where a label, a text, belongs"),
        (1.5, "column topic: the number 1.5, where a label, a text, belongs"),
        ({"x": "y"}, "column topic: an object, where a label, a text, belongs"),
    ],
)
def test_a_label_that_is_no_string_is_named_with_its_row(tmp_path: Path, name: str, value: Any, expected: str) -> None:
    rows = rows_of() if name in ("a.jsonl", "a.json") else []  # a typed column cannot mix them
    path = WRITERS[name](tmp_path / name, [*rows, *({"body": f"t {n}", "topic": value} for n in range(3))])
    message = refusal(path, wanted=Wanted(text=("body",), label="topic", task=TASKS["single"]))
    assert expected in message
    assert f" {len(rows) + 1}, column topic" in message


def test_lists_among_single_labels_are_refused_without_being_asked(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [*rows_of(), {"body": "x", "topic": ["a", "b"]}])
    assert "line 13, column topic: a list of labels" in refusal(path, wanted=COLUMNS)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("b\nc", "line break"), ("b\x1b[31m", "control"), ("\u202e", "label")],
)
def test_a_label_that_nobody_can_read_is_refused_by_name(tmp_path: Path, label: str, expected: str) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(("a", label)))
    assert expected in refusal(path, wanted=COLUMNS)


@pytest.mark.parametrize("value", ["inf", "nan", "1e999"])
def test_a_number_that_is_not_finite_is_named(tmp_path: Path, value: str) -> None:
    rows = [{"body": f"t {n}", "topic": n + 0.5} for n in range(30)] + [{"body": "last", "topic": value}]
    path = write_csv(tmp_path / "a.csv", rows)
    wanted = Wanted(text=("body",), label="topic", task=TASKS["regression"])
    assert f"row 32, column topic: '{value}' is no finite number" in refusal(path, wanted=wanted)


def test_a_decimal_comma_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"body": f"t {n}", "topic": f"{n},5"} for n in range(30)])
    wanted = Wanted(text=("body",), label="topic", task=TASKS["regression"])
    assert "row 2, column topic: '0,5' is no number (a decimal point is needed)" in refusal(path, wanted=wanted)


def test_one_value_in_all_rows_of_a_regression_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"body": f"t {n}", "topic": 1.5} for n in range(30)])
    assert "column topic" in refusal(path, wanted=COLUMNS)


def test_a_class_of_a_test_file_that_was_never_trained_is_named_with_its_row(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows_of())
    test = write_csv(tmp_path / "t.csv", [*rows_of(each=1), {"body": "x", "topic": "new"}])
    message = refusal(data, wanted=COLUMNS, test=[test])
    assert message.startswith(f"{test}: row 4, column topic: the class new is in no row of the training data")


def test_a_test_file_without_the_columns_is_named(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows_of())
    test = write_csv(tmp_path / "t.csv", [{"text": "x", "topic": "a"}])
    assert refusal(data, wanted=COLUMNS, test=[test]).startswith(f"{test}: row 1, the header, lacks the column body")


def test_a_test_file_that_is_the_training_file_is_warned_of(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows_of())
    (warning,) = load_data(data, wanted=COLUMNS, test=[data]).warnings
    assert "10 of 12 test texts are in the training data too" in warning


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(text=("topic",), label="topic"), "named as text and as label"),
        (Wanted(text=("body",), label="nothing"), "lacks the column nothing"),
        (Wanted(text=("body", "head"), label="topic"), "lacks the column head"),
        (Wanted(text=("body",), label="topic", group="author"), "lacks the column author"),
        (Wanted(text=("body",)), "name the column of the label with --label"),
        (Wanted(), "name the column of the text with --text"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, wanted: Wanted, expected: str) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of())
    message = refusal(path, wanted=wanted)
    assert expected in message
    assert message.startswith(str(path))


@pytest.mark.parametrize("source", ["nothing-here.csv", "no such file", "./none", "a/b/c"])
def test_a_source_that_is_nowhere_is_named(source: str) -> None:
    assert f"{source}: there is no such file" in refusal(source)


def test_a_folder_without_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("nothing")
    assert f"{tmp_path} is no folder of Hugging Face datasets" in refusal(tmp_path)


def test_a_hub_id_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert "someone/nothing is no file or folder here, nor a dataset on the hub" in refusal("someone/nothing")


def test_the_command_refuses_before_torch_is_imported(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(("a",)))
    program = (
        "import sys; from training.__main__ import app\n"
        f"try: app(['--data', {str(path)!r}, '--text', 'body', '--label', 'topic'])\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert "the one class a" in " ".join(done.stderr.split())
