"""`python -m training distill` gives an ordinary checkpoint of fewer layers, or says what is wrong in one line."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("transformers")

import torch
from transformers import AutoModelForSequenceClassification

from export.cascade.build import require_fit
from export.checkpoint.load import load_checkpoint
from repository.manifest import Manifest, ProblemType
from tests.any_table import LABELS, write_table
from tests.tiny_pipeline import export_checkpoint, write_maps, write_tiny_base
from training.__main__ import app
from training.data.split_record import SplitRecord

OPTIONS = ["--layers", "1", "--epochs", "4", "--batch-size", "8"]


def training(*options: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, options)))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    base, maps = write_tiny_base("bert", folder / "base"), write_maps(folder / "maps.csv")
    command = ["--data", maps, "--base-model", base, "--epochs", "6", "--patience", "6", "--learning-rate", "1e-3"]
    done = training(*command, "--no-baseline", "--output", folder / "teacher")
    assert done.exit_code == 0, done.output
    return folder / "teacher"


def distilled(teacher: Path, output: Path, *options: str | Path) -> Result:
    maps = teacher.parent / "maps.csv"
    return training("distill", "--teacher", teacher, "--data", maps, "--output", output, *OPTIONS, *options)


@pytest.fixture(scope="module")
def student(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("student") / "student"
    (output.parent / "log.txt").write_text("learn music\nbake machines\n", encoding="utf-8")
    done = distilled(teacher, output, "--unlabelled", output.parent / "log.txt")
    assert done.exit_code == 0, done.output
    assert "Beside these texts: 2 without a label, " in done.stdout
    assert "agreement" in done.stdout
    assert "Its teacher of 2 layers, teacher, has " in done.stdout
    return output


def test_the_student_is_a_checkpoint_of_fewer_layers_that_tells_of_its_teacher(teacher: Path, student: Path) -> None:
    own, theirs = (AutoModelForSequenceClassification.from_pretrained(each) for each in (student, teacher))
    assert own.config.num_hidden_layers == len(own.bert.encoder.layer) == 1
    assert own.config.id2label == theirs.config.id2label
    words = [each.get_input_embeddings().weight for each in (own, theirs)]
    assert torch.equal(*words), "a word that no text has would be another one"
    report = json.loads((student / "training_report.json").read_text())["teacher"]
    assert (report["name"], report["layers"], len(report["kept"]), len(report["tried"])) == ("teacher", 2, 1, 2)
    assert report["kept"] == min(report["tried"], key=lambda each: each["loss"])["layers"]
    assert report["test"]["macro_f1"] == json.loads((teacher / "training_report.json").read_text())["test"]["macro_f1"]
    card, page = ((student / name).read_text() for name in ("README.md", "report.html"))
    for text in (card, page):
        assert "Distilled from teacher, also by its answers to" in text
    assert "of its 2 layers, counted from 0, it began with" in card
    assert (student / "split.json").read_text() == (teacher / "split.json").read_text()


@pytest.mark.parametrize("hidden_weight", ["0", "1"])
def test_it_learns_what_the_teacher_answers(teacher: Path, tmp_path: Path, hidden_weight: str) -> None:
    # Without true labels, what falls is how far it is from the teacher.
    options = ("--truth-weight", "0", "--hidden-weight", hidden_weight, "--learning-rate", "2e-3")
    assert distilled(teacher, tmp_path / "student", *options, "--epochs", "12", "--patience", "12").exit_code == 0
    epochs = json.loads((tmp_path / "student" / "training_report.json").read_text())["epochs"]
    # By how much depends on the last bits, and these on how many threads compute.
    assert epochs[-1]["train_loss"] < 0.75 * epochs[0]["train_loss"]


def test_it_is_exported_and_its_graph_answers_as_pytorch(student: Path, tmp_path: Path) -> None:
    export_checkpoint(student, tmp_path / "version", "--precision", "fp32")
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.labels == ["Education", "Food", "Work"]
    assert manifest.parity is not None
    assert manifest.parity.max_logit_difference < 1e-4
    assert SplitRecord.read(tmp_path / "version") is not None


@pytest.mark.parametrize("kind", [name for name, case in LABELS.items() if case[1] is not ProblemType.SINGLE_LABEL])
def test_several_labels_and_numbers_are_learned_too(kind: str, tmp_path: Path) -> None:
    name, task, options, labels = LABELS[kind]
    table = write_table(tmp_path / name, labels)
    columns = ["--text", "headline", "--text", "body", "--label", "answer", *options]
    base = write_tiny_base("distilbert", tmp_path / "base")
    steps = ["--max-steps", "3"]
    command = ["--data", table, *columns, "--base-model", base, "--no-baseline", "--output", tmp_path / "teacher"]
    assert training(*command, *steps).exit_code == 0
    # The columns are those that the teacher knows.
    command = ["distill", "--teacher", tmp_path / "teacher", "--data", table, "--layers", "1"]
    done = training(*command, "--output", tmp_path / "student", "--learning-rate", "1e-9", *steps)
    assert done.exit_code == 0, done.output
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student")
    assert model.config.problem_type == task.value
    if task is ProblemType.REGRESSION:  # in its own unit, thousands, not in that of its spread
        report = json.loads((tmp_path / "student" / "training_report.json").read_text())
        teacher = json.loads((tmp_path / "teacher" / "training_report.json").read_text())
        name = "root_mean_squared_error"
        assert report["test"][name] == pytest.approx(teacher["test"][name], rel=0.5)


@pytest.mark.parametrize("layers", ["1", "0"])
def test_an_interrupted_run_goes_on_and_gives_the_same_student(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: str
) -> None:
    from training.fit import stopping

    wanted = ("--layers", layers, "--pieces", "0")
    assert distilled(teacher, tmp_path / "whole", *wanted).exit_code == 0
    before = stopping.KeepsCheckpoints.on_step_end

    def on_step_end(
        self: stopping.KeepsCheckpoints, args: object, state: object, control: object, **more: object
    ) -> None:
        if state.global_step == 11:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGINT)
        before(self, args, state, control, **more)

    with monkeypatch.context() as patch:
        patch.setattr(stopping.KeepsCheckpoints, "on_step_end", on_step_end)
        done = distilled(teacher, tmp_path / "student", *wanted)
    assert done.exit_code == 130
    assert "--resume goes on from epoch 1." in done.stderr
    refused = distilled(teacher, tmp_path / "student", "--resume", "--temperature", "3", *wanted)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert f"--temperature was {'2.0' if layers == '1' else '1.0'} and is 3.0" in refused.stderr
    done = distilled(teacher, tmp_path / "student", "--resume", *wanted)
    assert done.exit_code == 0, done.output
    assert "layers kept" not in done.stdout, "what was chosen is chosen"
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "student"))
    assert one == two


@pytest.mark.parametrize("kind", ["bert", "albert", "roberta", "modernbert", "gpt2"])
def test_no_layers_leave_a_vector_for_each_token_that_goes_with_any_teacher(kind: str, tmp_path: Path) -> None:
    base, maps = write_tiny_base(kind, tmp_path / "base"), write_maps(tmp_path / "maps.csv")
    command = ["--data", maps, "--base-model", base, "--epochs", "2", "--learning-rate", "1e-3", "--no-baseline"]
    assert training(*command, "--output", tmp_path / "teacher").exit_code == 0
    command = ["distill", "--teacher", tmp_path / "teacher", "--data", maps, "--layers", "0", "--batch-size", "8"]
    done = training(*command, "--output", tmp_path / "student", "--epochs", "3")
    assert done.exit_code == 0, done.output
    student, teacher = (load_checkpoint(str(tmp_path / name)) for name in ("student", "teacher"))
    require_fit(teacher, student)
    assert student.model.config.model_type == "bert"
    assert len(student.model.bert.encoder.layer) == 1
    rows = [each.model.get_input_embeddings().weight.shape[0] for each in (student, teacher)]
    assert rows[0] == rows[1]
    report = json.loads((tmp_path / "student" / "training_report.json").read_text())
    assert (report["teacher"]["kept"], report["teacher"]["chosen"]) == ([], "static embeddings")
    assert report["settings"]["hidden_weight"] == 0
    assert "layers it has none, but static embeddings" in (tmp_path / "student" / "README.md").read_text()
    assert report["epochs"][-1]["train_loss"] < report["epochs"][0]["train_loss"]


def test_ctrl_c_while_the_teacher_is_asked_about_tokens_ends_at_once(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr("training.fit.distill.token_vectors", asked)
    done = distilled(teacher, tmp_path / "student", "--layers", "0")
    assert done.exit_code == 130, done.output
    assert "nothing was written" in done.stderr


def test_what_cannot_be_is_said_in_one_line(teacher: Path, tmp_path: Path) -> None:
    def refused(*options: str | Path, teacher: Path = teacher) -> str:
        done = training("distill", "--teacher", teacher, "--output", tmp_path / "out", *options)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
        return done.stderr

    maps = teacher.parent / "maps.csv"
    assert "--layers 2: teacher has 2 layers; a student has fewer" in refused("--data", maps, "--layers", "2")
    assert "teacher was trained on maps.csv: name that file" in refused("--layers", "1")
    assert "would take the teacher's place" in refused("--output", teacher)
    assert "--task regression: teacher does single_label_classification" in refused(
        "--data", maps, "--layers", "1", "--task", "regression"
    )
    other = tmp_path / "other.csv"
    other.write_text(maps.read_text().replace("Food", "Sleep"), encoding="utf-8")
    assert "teacher knows no class Sleep" in refused("--data", other, "--layers", "1")
    assert "its groups were by map_id" in refused(
        "--data", maps, "--layers", "1", "--text", "idea_title", "--label", "map_category_name"
    )
    trained = maps.read_text().splitlines()
    for name in ("dev", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join([trained[0], *trained[-9:]]), encoding="utf-8")
    files = ["--validation", tmp_path / "dev.csv", "--test", tmp_path / "test.csv"]
    assert "it was split by groups, this data by files" in refused("--data", maps, "--layers", "1", *files)
    assert "a student with --layers 0 has no layers" in refused("--layers", "0", "--hidden-weight", "1")
    albert = write_tiny_base("albert", tmp_path / "albert")
    assert "albert has no list of 2 layers" in refused("--data", maps, "--layers", "1", teacher=albert)


def test_a_teacher_from_elsewhere_is_asked_for_its_data_and_warned_of(teacher: Path, tmp_path: Path) -> None:
    foreign = shutil.copytree(teacher, tmp_path / "foreign")
    (foreign / "split.json").unlink()
    command = ["distill", "--teacher", foreign, "--layers", "1", "--output", tmp_path / "out", "--max-steps", "1"]
    done = training(*command)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "foreign does not say what it was trained on: name labelled texts by --data" in done.stderr
    done = training(*command, "--data", teacher.parent / "maps.csv")
    assert done.exit_code == 0, done.output
    assert "its figures may read too well" in done.stderr
