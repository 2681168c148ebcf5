"""`--trials` finds settings on validation and goes on after Ctrl-C; `--few-shot` fits a classifier to few texts."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("torch")

import torch

from tests.tiny_pipeline import CLASSES, TOPICS, export_checkpoint, write_maps, write_tiny_base
from training.__main__ import app


def training(*options: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, options), "--no-baseline"])


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    folder = tmp_path_factory.mktemp("given")
    base = write_tiny_base("bert", folder / "base")
    return ["--data", write_maps(folder / "maps.csv"), "--base-model", base, "--epochs", "2", "--seed", "3"]


# --- trials ---------------------------------------------------------------------------------------------------------


def test_trials_go_on_after_ctrl_c_and_the_best_on_validation_is_trained(
    given: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    from training.fit import trials

    output, before = tmp_path / "classifier", trials._Reports.on_evaluate
    options = [*given, "--output", output, "--trials", "6"]

    def on_evaluate(self: Any, *arguments: Any, **more: Any) -> None:
        if self._trial.number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        before(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(trials._Reports, "on_evaluate", on_evaluate)
        done = training(*options)
    assert done.exit_code == 130
    assert "--resume goes on with the trials" in done.stderr
    assert not output.exists()
    other = training(*options, "--resume", "--patience", "7")
    assert (other.exit_code, other.stderr.count("\n")) == (2, 1)
    assert "were made with --patience was 2 and is 7" in other.stderr
    done = training(*options, "--resume")
    assert done.exit_code == 0, done.output
    report = json.loads((output / "training_report.json").read_text())
    found = report["trials"]["trials"]
    assert len(found) == 6
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines if line[:1] and line[0] in "3456"][:4] == ["3", "4", "5", "6"]
    assert found[0]["learning_rate"] == 5e-5, "what was given is tried first"
    values = [trial["value"] for trial in found if trial["value"] is not None]
    assert report["trials"]["best"] == max(values)
    assert report["validation"]["macro_f1"] == pytest.approx(max(values), abs=1e-4)
    best = next(trial for trial in found if trial["value"] == max(values))
    assert {name: report["settings"][name] for name in best if name != "value"} == {
        name: value for name, value in best.items() if name != "value"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier", "classifier.trials.sqlite3"]


# --- few-shot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", ["bert", "qwen2"])
def test_a_few_shot_classifier_is_an_ordinary_checkpoint_that_exports(tmp_path: Path, model_type: str) -> None:
    base, output = write_tiny_base(model_type, tmp_path / "base"), tmp_path / "classifier"
    data = tmp_path / "table.csv"
    verbs = [(verb, label) for label, own in CLASSES.items() for verb in own.split()]
    rows = [f"{verb} {topic} {TOPICS[n % 5]},{label}" for verb, label in verbs for n, topic in enumerate(TOPICS)]
    data.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    done = training("--data", data, "--base-model", base, "--output", output, "--few-shot", "--learning-rate", "1e-2")
    assert done.exit_code == 0, done.output
    report = json.loads((output / "training_report.json").read_text())
    assert report["settings"]["few_shot"]
    losses = [float(line.split()[1]) for line in done.stdout.splitlines()[2:12]]
    assert losses[-1] < losses[0]
    export_checkpoint(output, tmp_path / "version")  # which compares the graph with PyTorch


def test_the_contrastive_loss_is_that_of_the_paper() -> None:
    from training.fit.few_shot import _TEMPERATURE, contrastive_loss

    vectors, classes = np.random.default_rng(0).normal(size=(5, 4)), [0, 0, 1, 1, 2]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = []
    for one in range(4):  # the fifth is alone in its class
        others = [other for other in range(5) if other != one]
        total = sum(np.exp(units[one] @ units[other] / _TEMPERATURE) for other in others)
        same = [other for other in others if classes[other] == classes[one]]
        expected.append(np.mean([-np.log(np.exp(units[one] @ units[p] / _TEMPERATURE) / total) for p in same]))
    loss = contrastive_loss(torch.tensor(vectors), torch.tensor(classes))
    assert float(loss) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_fitted_head_answers_as_the_regression_does(count: int, bias: bool) -> None:
    from training.fit.few_shot import _fit
    from training.settings import Settings

    rng = np.random.default_rng(0)
    centers, classes = rng.normal(size=(count, 6)) * 3, [number % count for number in range(30)]
    vectors = (centers[classes] + rng.normal(size=(30, 6)) + (5 if bias else 0)).astype(np.float32)
    head = torch.nn.Linear(6, count, bias=bias)
    _fit(head, vectors, classes, Settings())
    answered = head(torch.tensor(vectors)).argmax(dim=1).tolist()
    assert np.mean(np.array(answered) == classes) > 0.9


def test_what_does_not_go_with_few_shot_is_refused(given: list[str | Path], tmp_path: Path) -> None:
    for options, expected in ((("--lora",), "--few-shot and --lora"), (("--task", "multi"), "their one label")):
        done = training(*given, "--output", tmp_path / "out", "--few-shot", *options)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert expected in done.stderr
