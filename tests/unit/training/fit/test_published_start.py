"""A published version is trained further from the checkpoint it was exported from, and published again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from pretrained.weights import weights_digest
from repository.config import ModelConfig
from repository.manifest import Manifest
from repository.store import ModelStore
from tests.places import ROOT
from tests.tiny_pipeline import export_checkpoint, write_tiny_base
from tests.unit.training.fit.test_warm_start import write_groups
from tests.waiting import wait_until
from training.__main__ import app
from training.data.split_record import SplitRecord

FROM_NEWEST = ("--from-version", "newest")
SAID = "Trained further from version 1 of classifier"


def training(home: Path, *options: str | Path) -> Result:
    options = (*options, "--output", home / "checkpoints" / "classifier", "--group", "source", "--no-baseline")
    done = CliRunner().invoke(app, list(map(str, (*options, "--epochs", "1", "--learning-rate", "1e-6"))))
    assert done.exit_code == 0, done.output
    return done


def publish(store: ModelStore, exported: Path) -> int:
    export_checkpoint(store.folder.parents[1] / "checkpoints" / "classifier", exported, "--precision", "fp32")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    return store.publish(exported)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose checkpoint has become version 1."""
    home = tmp_path_factory.mktemp("published")
    data = write_groups(home / "a.csv", "Work Education Food", 0, 9)
    training(home, "--data", data, "--base-model", write_tiny_base("bert", home / "base"))
    assert publish(ModelStore(home / "model_repository", "classifier"), home / "v1") == 1
    return home


@pytest.fixture
def store(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The same for each test."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("MODEL_REPOSITORY", "MODEL_NAME", "CHECKPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return ModelStore(tmp_path / "model_repository", "classifier")


def test_a_version_is_trained_further_exported_and_published(store: ModelStore, tmp_path: Path) -> None:
    output, kept = tmp_path / "checkpoints" / "classifier", tmp_path / "checkpoints" / "classifier.before"
    first, record = Manifest.read(store.folder / "1").weights, SplitRecord.read(output)
    assert weights_digest(output) == first
    old = AutoModelForSequenceClassification.from_pretrained(output)
    data = write_groups(tmp_path / "b.csv", "Work Education Food Arts", 0, 15)
    done = training(tmp_path, "--data", data, *FROM_NEWEST)
    assert "Training further from version 1 of classifier: its checkpoint is checkpoints/classifier." in done.stdout
    assert "keeps its classifier for 3 of 4 labels" in done.stdout
    new = AutoModelForSequenceClassification.from_pretrained(output)
    for label in ("Work", "Education", "Food"):
        rows = new.classifier.weight[new.config.label2id[label]], old.classifier.weight[old.config.label2id[label]]
        assert rows[0].sub(rows[1]).abs().max() < 1e-3
    after = SplitRecord.read(output)
    assert record is not None
    assert after is not None
    assert after.members["train"] > record.members["train"]
    assert not after.members["test"] & (record.members["train"] | record.members["validation"])
    # It is said, and stays said when the report is made anew.
    for _ in range(2):
        assert json.loads((output / "training_report.json").read_text())["trained_further_from"] in SAID
        for name in ("README.md", "report.html"):
            assert SAID in (output / name).read_text().replace("<bdi>", "").replace('<bdi class="long">', "")
        CliRunner().invoke(app, ["evaluate", "--data", str(data), str(output)], catch_exceptions=False)
    # Nobody published it: version 1 is the newest still, and what it was exported from is there.
    assert weights_digest(kept) == first
    training(tmp_path, "--data", data, *FROM_NEWEST)
    assert weights_digest(kept) == first
    assert publish(store, tmp_path / "v2") == 2
    assert Manifest.read(store.folder / "2").weights == weights_digest(output)
    assert Manifest.read(store.folder / "2").labels == ["Arts", "Education", "Food", "Work"]
    assert sorted(path.name for path in output.parent.iterdir()) == ["classifier", "classifier.before"]


def test_an_interrupted_run_leaves_what_it_began_with_and_goes_on(store: ModelStore, tmp_path: Path) -> None:
    output = tmp_path / "checkpoints" / "classifier"
    before = {file.name: file.stat().st_mtime_ns for file in output.iterdir()}
    command = [sys.executable, "-m", "training", "train", "--data", "a.csv", "--output", str(output), *FROM_NEWEST]
    command += ["--group", "source", "--no-baseline", "--epochs", "15", "--patience", "15"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: list(output.parent.glob(".classifier.training/run-*/trainer")), 60, "training begins")
    os.kill(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == 130, stderr
    assert "--resume goes on from epoch" in stderr
    assert {file.name: file.stat().st_mtime_ns for file in output.iterdir()} == before
    assert weights_digest(output) == Manifest.read(store.folder / "1").weights
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Going on from epoch" in done.stdout
    assert weights_digest(output.with_name("classifier.before")) == Manifest.read(store.folder / "1").weights
