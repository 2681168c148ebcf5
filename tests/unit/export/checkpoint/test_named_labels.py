"""`--labels` names the labels of any checkpoint: by a list or a file, in place of names that it has."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from export.checkpoint.named_labels import read_labels
from repository.manifest import Manifest
from tests.unit.export.checkpoint.test_pairs import TEXTS
from tests.word_checkpoints import edit, write

NAMES = ["no", "maybe, later", "yes [v1]"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "no\nmaybe, later\nyes [v1]\n"),
        ("windows.txt", "no\r\nmaybe, later\r\nyes [v1]\r\n"),
        ("list.json", json.dumps(NAMES)),
        ("numbered.json", json.dumps({"2": NAMES[2], "0": NAMES[0], "1": NAMES[1]})),
        ("config.json", json.dumps({"id2label": {str(number): name for number, name in enumerate(NAMES)}})),
        ("names", json.dumps(NAMES)),
    ],
)
def test_a_file_of_any_of_these_kinds_names_the_labels(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, newline="")
    assert read_labels(str(tmp_path / name)) == NAMES


def test_a_list_names_the_labels() -> None:
    assert read_labels("no, yes,Ärger") == ["no", "yes", "Ärger"]
    assert read_labels('no,"maybe, later",yes [v1]') == NAMES


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("no,,yes", "name every label"),
        ("", "name every label"),
        ("none/there.txt", "there is no such file"),
        ("labels.json", "there is no such file"),
    ],
)
def test_a_list_that_names_not_all_or_a_file_that_is_not_there_is_refused(given: str, expected: str) -> None:
    with pytest.raises(ExportError, match=expected):
        read_labels(given)


@pytest.mark.parametrize("content", ['{"1": "a", "2": "b"}', "[1, 2]", '{"0": ["a"]}', "{broken"])
def test_a_file_that_names_no_labels_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ExportError, match="--labels"):
        read_labels(str(tmp_path / "labels.json"))


def test_the_version_has_the_names_that_are_given(tmp_path: Path) -> None:
    checkpoint, data = write(tmp_path / "c"), tmp_path / "data.txt"
    data.write_text("\n".join(TEXTS))
    options = ["--output", str(tmp_path / "version"), "--data", str(data), "--precision", "fp32"]
    done = CliRunner().invoke(app, [str(checkpoint), *options, "--labels", "no,maybe,yes"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert Manifest.read(tmp_path / "version").labels == ["no", "maybe", "yes"]


def test_names_that_the_checkpoint_has_are_replaced(tmp_path: Path) -> None:
    checkpoint = write(tmp_path / "c")
    edit(checkpoint / "config.json", id2label={"0": "a", "1": "a", "2": "b"})
    assert load_checkpoint(str(checkpoint), labels=NAMES).labels == NAMES
    assert load_checkpoint(str(checkpoint), labels=NAMES).model.config.id2label[1] == NAMES[1]


def test_too_few_too_many_or_equal_names_are_refused(tmp_path: Path) -> None:
    checkpoint = str(write(tmp_path / "c"))
    for labels in (["a", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(ExportError, match=f"has 3 labels, and --labels names {len(labels)}"):
            load_checkpoint(checkpoint, labels=labels)
    with pytest.raises(ExportError, match="--labels gives two labels the same name, 'a'"):
        load_checkpoint(checkpoint, labels=["a", "b", "a"])
