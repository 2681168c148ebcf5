"""A checkpoint that is trained further keeps what it knows of its labels, and is never tested on what it has seen."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("torch")

import torch
from transformers import AutoModelForSequenceClassification

from repository.manifest import ProblemType
from tests.tiny_pipeline import write_tiny_base
from training.__main__ import app
from training.data.columns import Wanted
from training.data.load import TrainingData, load_data
from training.data.split_record import SplitRecord
from training.encoders.base_model import read_base_model
from training.fit.train import load_classifier
from training.fit.warm_start import without_what_was_seen

VERBS = {"Work": "plan meet build", "Education": "learn teach study", "Food": "cook bake taste", "Arts": "draw sing"}


def write_groups(path: Path, labels: str, first: int, last: int) -> Path:
    """Groups of two texts; those of a number are the same in each file."""
    rows = ["text,label,source"]
    for label in labels.split():
        for number in range(first, last):
            rows += [f"{verb} {label} word{number},{label},{label}-{number}" for verb in VERBS[label].split()[:2]]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def training(*options: str | Path) -> Result:
    options = (*options, "--no-baseline", "--group", "source", "--epochs", "1", "--learning-rate", "1e-6")
    return CliRunner().invoke(app, list(map(str, options)))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the first week's texts."""
    folder = tmp_path_factory.mktemp("first")
    base, data = write_tiny_base("bert", folder / "base"), write_groups(folder / "a.csv", "Work Education Food", 0, 9)
    done = training("--data", data, "--base-model", base, "--output", folder / "classifier")
    assert done.exit_code == 0, done.output
    return folder / "classifier"


def test_rows_of_the_classifier_stay_with_their_labels_in_any_order(first: Path) -> None:
    before = AutoModelForSequenceClassification.from_pretrained(first)
    labels = ["Work", "Arts", "Food"]
    torch.manual_seed(0)
    model = load_classifier(read_base_model(str(first)), labels)
    assert model.config.id2label == dict(enumerate(labels))
    own = {label: number for number, label in before.config.id2label.items()}
    for number, label in enumerate(labels):
        if label in own:
            assert torch.equal(model.classifier.weight[number], before.classifier.weight[own[label]])
        else:
            assert 0 < model.classifier.weight[number].abs().max() < 0.2
    assert torch.equal(model.bert.pooler.dense.weight, before.bert.pooler.dense.weight)


def test_a_number_is_learned_further_from_where_it_was(tmp_path: Path) -> None:
    rows = "\n".join(f"word{n} word{n % 7},{1000 + n}" for n in range(40))
    (tmp_path / "numbers.csv").write_text(f"text,price\n{rows}\n")
    base = write_tiny_base("bert", tmp_path / "base")
    options = ["--data", tmp_path / "numbers.csv", "--label", "price", "--task", "regression", "--no-baseline"]
    options += ["--epochs", "3", "--patience", "3"]
    outputs = [tmp_path / "one", tmp_path / "two"]
    for start, output, rate in zip((base, outputs[0]), outputs, ("1e-3", "0"), strict=True):
        command = [*options, "--base-model", start, "--output", output, "--learning-rate", rate]
        done = CliRunner().invoke(app, list(map(str, command)))
        assert done.exit_code == 0, done.output
    one, two = (json.loads((output / "training_report.json").read_text())["test"] for output in outputs)
    assert two["mean_absolute_error"] == pytest.approx(one["mean_absolute_error"], abs=1e-2)


def test_what_was_tested_stays_the_test_and_what_was_trained_is_never_tested(first: Path, tmp_path: Path) -> None:
    record = SplitRecord.read(first)
    assert record is not None
    dealt = with_groups(write_groups(tmp_path / "b.csv", "Work Education Food Arts", 0, 40))
    moved, notes = without_what_was_seen(dealt, str(first))
    held_out = [*dealt.splits["validation"], *dealt.splits["test"]]
    assert any(record.split_of(e) == "train" for e in held_out), "a fresh deal of more groups mixes them"
    assert len(notes) == 1
    for name, members in moved.splits.items():
        assert {record.split_of(example) for example in members} <= {name, None}
    assert {e.group for e in moved.splits["test"]} >= {e.group for e in dealt.splits["test"] if not record.split_of(e)}
    groups = [{example.group for example in members} for members in moved.splits.values()]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    # The record of the second checkpoint knows both.
    for name in ("train", "validation", "test"):
        assert moved.record.members[name] >= record.members[name]


def with_groups(path: Path) -> TrainingData:
    return load_data(path, wanted=Wanted(group="source"))


def test_a_copy_of_a_group_that_was_trained_on_is_not_tested_on(first: Path, tmp_path: Path) -> None:
    record = SplitRecord.read(first)
    assert record is not None
    lines = write_groups(tmp_path / "b.csv", "Work Education Food", 0, 9).read_text().splitlines()
    trained = sorted({e.group for e in with_groups(tmp_path / "b.csv").splits["train"]})
    names = [f"{letter}{name}" for name in trained for letter in "abc"]
    copies = [f"{','.join(line.split(',')[:2])},{letter}{group}" for letter in "abc" for line in lines[1:]
              if (group := line.split(",")[2]) in trained]  # fmt: skip
    new = write_groups(tmp_path / "c.csv", "Work Education Food", 20, 29).read_text().splitlines()[1:]
    (tmp_path / "b.csv").write_text("\n".join([*lines, *copies, *new]) + "\n")
    moved, _ = without_what_was_seen(with_groups(tmp_path / "b.csv"), str(first))
    assert {e.group for e in moved.splits["train"]} >= {*trained, *names}


def test_a_run_says_what_it_keeps_and_its_record_holds_both(first: Path, tmp_path: Path) -> None:
    data = write_groups(tmp_path / "b.csv", "Work Education Food Arts", 0, 15)
    done = training("--data", data, "--base-model", first, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"{first} keeps its classifier for 3 of 4 labels." in done.stdout
    assert "stay in the split in which" in done.stderr
    before, after = SplitRecord.read(first), SplitRecord.read(tmp_path / "out")
    assert before is not None
    assert after is not None
    assert after.members["train"] > before.members["train"]
    assert not after.members["train"] & after.members["test"]


def test_test_files_with_texts_that_were_trained_on_are_refused(tmp_path: Path) -> None:
    header, *lines = write_groups(tmp_path / "a.csv", "Work Education Food", 0, 9).read_text().splitlines()
    parts = {"train": lines[::3], "validation": lines[1::3], "test": lines[2::3]}
    for name, part in parts.items():
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *part]) + "\n")
    files = ["--data", tmp_path / "train.csv", "--validation", tmp_path / "validation.csv"]
    files += ["--test", tmp_path / "test.csv"]
    base = write_tiny_base("bert", tmp_path / "base")
    done = training(*files, "--base-model", base, "--output", tmp_path / "one")
    assert done.exit_code == 0, done.output
    (tmp_path / "test.csv").write_text("\n".join([header, *parts["test"], parts["train"][0]]) + "\n")
    done = training(*files, "--base-model", tmp_path / "one", "--output", tmp_path / "two")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 2)  # that the test file repeats a text is said, too
    assert "1 of the 19 test texts were trained on by" in done.stderr.splitlines()[-1]


def test_a_split_that_cannot_be_compared_is_named(first: Path, tmp_path: Path) -> None:
    data = write_groups(tmp_path / "b.csv", "Work Education", 0, 9)
    done = CliRunner().invoke(
        app,
        ["--data", str(data), "--base-model", str(first), "--output", str(tmp_path / "out"), "--max-steps", "1"],
    )
    assert done.exit_code == 0, done.output
    assert "can't be recognised here (its groups were by source, these are by text)" in done.stderr


def test_another_task_gets_a_new_classifier(first: Path) -> None:
    from training.fit.warm_start import known_labels

    config = read_base_model(str(first)).config
    assert known_labels(config, ["Food"], ProblemType.SINGLE_LABEL) == ["Food"]
    assert known_labels(config, ["Food"], ProblemType.MULTI_LABEL) == []
