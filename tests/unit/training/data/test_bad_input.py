"""Whatever format data is in, what is wrong with it is one line with the cause and the place, before anything long."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repository.manifest import ProblemType
from tests.places import ROOT as REPOSITORY
from tests.table_formats import FORMATS, WANTED, Rows, rows_of
from training.data.columns import Wanted
from training.data.load import DataError, load_data

TYPED = [name for name in FORMATS if name not in ("csv", "tsv", "packed", "hub, csv")]


def without(name: str) -> Rows:
    return [{key: value for key, value in row.items() if key != name} for row in rows_of()]


def changed(place: int, **fields: Any) -> Rows:
    return [row | (fields if number == place else {}) for number, row in enumerate(rows_of())]


FAULTS: dict[str, tuple[Rows, str]] = {
    "no text": (without("text"), "text"),
    "no label": (without("label"), "label"),
    "no group": (without("author"), "author"),
    "no row": ([], "no row|has no line|has no item|is empty"),
    "one class": ([row | {"label": "good"} for row in rows_of()], "column label: there is the one class good in all"),
    "a class of one group": (
        [*rows_of(), {"text": "lone", "label": "rare", "author": "lone"}],
        "column label: class rare has 1 groups, copies counted once; at least 3",
    ),
    "a label of two lines": (changed(3, label="go\nod"), r"(row|line|item) \d+, column label: .* holds a line break"),
    "a label that nobody sees": (changed(3, label="\u200b"), r"(row|line|item) \d+, column label: .*no visible"),
    "a label of 1200 characters": (
        changed(3, label="x" * 1200),
        r"(row|line|item) \d+, column label: .*1200 characters",
    ),
    "labels all empty": ([row | {"label": ""} for row in rows_of()], "column label is empty in 16 of 16 rows"),
    "texts all empty": ([row | {"text": " "} for row in rows_of()], "column text is empty in 16 of 16 rows"),
    "groups all empty": ([row | {"author": ""} for row in rows_of()], "column author is empty in 16 of 16 rows"),
}


def refusal(source: Path | str, wanted: Wanted = WANTED, **others: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_data(source, "groups", wanted, **others)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", FORMATS)
def test_each_fault_is_named_in_each_format(tmp_path: Path, kind: str, fault: str) -> None:
    rows, expected = FAULTS[fault]
    source = FORMATS[kind](tmp_path, rows)
    message = refusal(source)
    assert str(source) in message
    assert re.search(expected, message), message


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_gives_the_same_examples(tmp_path: Path, kind: str) -> None:
    data = load_data(FORMATS[kind](tmp_path, rows_of()), "groups", WANTED)
    found = sorted((one.text, one.target, one.group) for part in data.splits.values() for one in part)
    assert found == sorted((row["text"], row["label"], row["author"]) for row in rows_of())


TYPED_FAULTS: dict[str, tuple[Any, Wanted, str]] = {
    "a list": (["good", "bad"], Wanted(("text",), "label", task=ProblemType.SINGLE_LABEL), "a list of labels, where"),
    "a fraction": (1.5, Wanted(("text",), "label", task=ProblemType.SINGLE_LABEL), "the number 1.5, where a label"),
    "an object": ({"a": "b"}, Wanted(("text",), "label"), "an object, where a label|no text, where a label"),
    "a truth value": (True, Wanted(("text",), "label"), "true, where a label"),
    "nested lists": ([["good"]], Wanted(("text",), "label"), "a list .*where"),
}


@pytest.mark.parametrize("fault", TYPED_FAULTS)
@pytest.mark.parametrize("kind", TYPED)
def test_a_label_of_another_type_is_named_with_its_row(tmp_path: Path, kind: str, fault: str) -> None:
    value, wanted, expected = TYPED_FAULTS[fault]
    message = refusal(FORMATS[kind](tmp_path, [row | {"label": value} for row in rows_of()]), wanted)
    assert re.search(r"(row|line|item) 1, column label: .*(" + expected + ")", message), message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nan", "no finite number"),
        ("inf", "no finite number"),
        ("3,5", "decimal point is needed"),
        ("much", "no number"),
    ],
)
@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "hub, csv"])  # pandas reads that: nan is empty
def test_a_number_that_is_none_is_named_with_its_row(tmp_path: Path, kind: str, value: str, expected: str) -> None:
    rows = [row | {"label": str(number + 0.5)} for number, row in enumerate(rows_of())]
    rows[4]["label"] = value
    wanted = Wanted(("text",), "label", task=ProblemType.REGRESSION)
    message = refusal(FORMATS[kind](tmp_path, rows), wanted)
    assert expected in message
    assert "column label" in message


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("kind", [name for name in TYPED if name not in ("lines", "list")])
def test_a_number_that_is_not_finite_is_named_in_columns_of_numbers(tmp_path: Path, kind: str, value: float) -> None:
    rows = [row | {"label": number + 0.5} for number, row in enumerate(rows_of())]
    rows[4]["label"] = value
    wanted = Wanted(("text",), "label", task=ProblemType.REGRESSION)
    assert "row 5, column label" in refusal(FORMATS[kind](tmp_path, rows), wanted)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_row_without_its_group_is_left_out_and_counted(tmp_path: Path, kind: str) -> None:
    data = load_data(FORMATS[kind](tmp_path, changed(3, author="")), "groups", WANTED)
    assert data.skipped == {"author": 1}


def test_a_test_file_with_a_class_never_trained_is_named_with_its_row(tmp_path: Path) -> None:
    train = FORMATS["csv"](tmp_path, rows_of())
    for kind in FORMATS:
        (folder := tmp_path / kind.replace(",", "")).mkdir()
        test = FORMATS[kind](folder, [*rows_of(), {"text": "new", "label": "ugly", "author": "z"}])
        message = refusal(train, test=[test])
        assert f"{test}" in message
        assert "column label: the class ugly is in no row of the training data" in message


def test_the_label_column_cannot_be_the_text(tmp_path: Path) -> None:
    path = FORMATS["csv"](tmp_path, rows_of())
    assert "the column label is named as text and as label" in refusal(path, Wanted(("label",), "label"))


def test_the_same_file_to_train_and_to_test_on_is_refused(tmp_path: Path) -> None:
    path = FORMATS["csv"](tmp_path, rows_of())
    assert "is named to train and to test on" in refusal(path, test=[path])
    assert "is named to train and to choose on" in refusal(path, validation=[str(path)])


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'} is no folder of Hugging Face datasets" in refusal(tmp_path / "empty")


def test_a_data_set_on_a_hub_out_of_reach_is_named(tmp_path: Path) -> None:
    program = (
        "from training.data.load import load_data, DataError\n"
        "try: load_data('nobody/nothing')\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("nobody/nothing is no file or folder here, nor a dataset on the hub"), done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "inspect"])
def test_the_command_says_it_in_one_line_and_imports_no_torch(tmp_path: Path, command: str) -> None:
    path = FORMATS["csv"](tmp_path, FAULTS["one class"][0] if command == "train" else without("label"))
    program = (
        "import sys; from training.__main__ import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: assert 'torch' not in sys.modules"
    )
    options = ["--data", str(path), "--text", "text", "--label", "label", "--group", "author"]
    done = subprocess.run(
        [sys.executable, "-c", program, command, *options],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"Error: {path}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
