"""A killed run goes on with --resume and gives the model that it would have given; another run does not go on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.places import ROOT as REPOSITORY

pytest.importorskip("transformers")

import torch

from tests.tiny_pipeline import write_maps, write_tiny_base
from training.__main__ import app

# 18 texts in batches of 4: five steps an epoch.
OPTIONS = ["--epochs", "4", "--patience", "2", "--batch-size", "4", "--learning-rate", "1e-3", "--no-baseline"]
# Where a run dies, and how: in the middle of an epoch, with a checkpoint of each step or of the epoch before; while the
# checkpoint of an epoch is being written; after the last one, before anything was evaluated.
DEATHS = {
    "mid-epoch with checkpoints in between": ("c.KeepsCheckpoints.on_step_end = dying(on_step_end, 7)", "0.0"),
    "mid-epoch": ("c.KeepsCheckpoints.on_step_end = dying(on_step_end, 8)", "300.0"),
    "while saving": ("ClassifierTrainer._save_rng_state = dying_save", "300.0"),
    "after training": ("t.answers_to = die", "300.0"),
}
# One process imports, and forks one for each death: imports take longer than all of the training.
KILLED = """
import os, signal, sys
import training.fit.stopping as c, training.fit.train as t, torch
from training.fit.trainer import ClassifierTrainer
from training.__main__ import app
torch.set_num_threads(1)
on_step_end, save = c.KeepsCheckpoints.on_step_end, ClassifierTrainer._save_rng_state
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def dying(function, step):
    def run(self, args, state, control, **more):
        function(self, args, state, control, **more)
        if state.global_step == step: die()
    return run
def dying_save(self, folder):
    if self.state.global_step == 10: die()
    save(self, folder)
for output, patch, seconds in zip(*[iter(sys.argv[2:])] * 3):
    if child := os.fork():
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        continue
    c.SAVED_EVERY_S = float(seconds)
    exec(patch)
    app(eval(sys.argv[1]) + ["--output", output], standalone_mode=False)
    os._exit(1)
"""


def training(*options: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, options)))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As the killed runs have it: two threads add up in another order than one does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("given")
    base = write_tiny_base("bert", folder / "base")
    return ["--data", str(write_maps(folder / "maps.csv")), "--base-model", str(base), *OPTIONS]


@pytest.fixture(scope="module")
def uninterrupted(given: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "classifier"
    done = training(*given, "--output", output)
    assert done.exit_code == 0, done.output
    return output


@pytest.fixture(scope="module")
def killed(given: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("killed")
    outputs = {name: folder / str(number) / "classifier" for number, name in enumerate(DEATHS)}
    cases = [part for name, case in DEATHS.items() for part in (str(outputs[name]), *case)]
    command = [sys.executable, "-c", KILLED, repr(given), *cases]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return outputs


@pytest.mark.parametrize("name", DEATHS)
def test_a_killed_run_goes_on_and_gives_the_same_model(
    given: list[str], uninterrupted: Path, killed: dict[str, Path], name: str
) -> None:
    output = killed[name]
    assert not output.exists()
    assert len(list(output.parent.glob(".classifier.training/run-*/trainer/checkpoint-*"))) <= 3
    done = training(*given, "--output", output, "--resume")
    assert done.exit_code == 0, done.output
    assert "Going on from epoch" in done.stdout
    assert (output / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()
    before, after = (json.loads((folder / "training_report.json").read_text()) for folder in (uninterrupted, output))
    assert [*map(without_loss, after["epochs"])] == [*map(without_loss, before["epochs"])]
    assert (after["test"], after["best_epoch"]) == (before["test"], before["best_epoch"])
    assert list(output.parent.iterdir()) == [output], "something is left beside the checkpoint"


def without_loss(epoch: dict[str, float]) -> dict[str, float]:
    """What was lost with a killed process is the sum of its losses since the last checkpoint's."""
    return {name: value for name, value in epoch.items() if name != "train_loss"}


@pytest.fixture
def interrupted(given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run that Ctrl-C ended in its seventh step."""
    from training.fit import stopping

    before = stopping.KeepsCheckpoints.on_step_end

    def on_step_end(
        self: stopping.KeepsCheckpoints, args: object, state: object, control: object, **more: object
    ) -> None:
        if state.global_step == 7:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGINT)
        before(self, args, state, control, **more)

    with monkeypatch.context() as patch:
        patch.setattr(stopping.KeepsCheckpoints, "on_step_end", on_step_end)
        done = training(*given, "--output", tmp_path / "classifier")
    assert done.exit_code == 130
    assert "goes on from epoch 1.4 of 4" in done.stderr
    return tmp_path / "classifier"


def test_what_differs_is_said_in_one_line(given: list[str], interrupted: Path, tmp_path: Path) -> None:
    done = training(*given, "--output", interrupted, "--resume", "--seed", "4")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "the interrupted run was another one: --seed was 0 and is 4" in done.stderr
    data = write_maps(tmp_path / "maps.csv", " more")
    done = training(*given, "--data", data, "--output", interrupted, "--resume")
    assert "the data is not the same" in done.stderr
    base = write_tiny_base("distilbert", tmp_path / "base")
    done = training(*given, "--base-model", base, "--output", interrupted, "--resume")
    assert "the base model is not the same" in done.stderr
    assert training(*given, "--output", interrupted, "--resume").exit_code == 0


def test_without_resume_a_new_run_begins_and_says_that_another_was_interrupted(
    given: list[str], uninterrupted: Path, interrupted: Path
) -> None:
    done = training(*given, "--output", interrupted)
    assert done.exit_code == 0
    assert "an interrupted run is there (epoch 1.4 of 4): --resume continues it" in done.stderr
    assert (interrupted / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()
    assert list(interrupted.parent.iterdir()) == [interrupted]


def test_resume_without_an_interrupted_run_begins_one(given: list[str], tmp_path: Path) -> None:
    done = training(*given, "--output", tmp_path / "out", "--resume", "--max-steps", "1")
    assert done.exit_code == 0
    assert "There is no interrupted run to go on with" in done.stdout


def test_a_second_run_to_the_same_output_waits_its_turn(given: list[str], tmp_path: Path) -> None:
    import fcntl

    (tmp_path / ".out.training").mkdir()
    with (tmp_path / ".out.training" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = training(*given, "--output", tmp_path / "out")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "another run is writing to" in done.stderr
