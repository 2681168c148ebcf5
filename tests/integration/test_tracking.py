"""A checkpoint is logged in MLflow, by a real server on loopback, and exported from there; training never needs it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure.ports import free_ports
from pretrained.weights import weights_text
from repository.store import ModelStore
from tests.own_environments import EnvironmentMissingError, own_python
from tests.places import ROOT
from tests.tiny_pipeline import CLASSES, train_tiny_base
from tests.version_folders import note_weights, write_version
from tests.waiting import wait_until
from tests.word_checkpoints import logits
from training.data.split_record import SPLIT_FILE, SplitRecord
from training.report.contents import REPORT_FILE
from training.tracking.log import TRACKING_FILE, TrackedRun

pytest.importorskip("mlflow", reason="the extra track is not installed")
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny_base("bert", tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server, of an environment of its own, as in a company."""
    try:
        python = own_python("mlflow", "mlflow")
    except EnvironmentMissingError as error:
        pytest.skip(str(error))
    folder, port = tmp_path_factory.mktemp("mlflow"), free_ports(1)[0]
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "files")]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**clean, **QUIET}, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:

        def is_up() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            return answers(f"{address}/health")

        wait_until(is_up, 75, "MLflow's server answers", pause_s=0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def training(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    paths = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        cwd=folder,
        env={**clean, **paths, **environment},
        capture_output=True,
        text=True,
    )


def test_a_checkpoint_becomes_a_run_of_a_server_and_is_exported_from_it(
    server: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from export.checkpoint.load import load_checkpoint

    copy = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    with_password = server.replace("//", "//me:secret@")
    done = training(tmp_path, "track", str(copy), MLFLOW_TRACKING_URI=with_password)
    assert (done.returncode, done.stderr) == (0, "")
    assert "secret" not in done.stdout + (copy / TRACKING_FILE).read_text()
    run = TrackedRun.read(copy)
    client = MlflowClient(server)
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert {"learning_rate", "base_model", "data.sha256", "data.test"} <= logged.data.params.keys()
    assert {"test/macro_f1", "validation/macro_f1", "by_epoch/train_loss"} <= logged.data.metrics.keys()
    report = json.loads((copy / REPORT_FILE).read_text(encoding="utf-8"))
    curve = client.get_metric_history(run.run_id, "by_epoch/macro_f1")
    assert [(found.step, found.value) for found in curve] == [
        (step, epoch["macro_f1"]) for step, epoch in enumerate(report["epochs"], start=1)
    ]
    assert {"report/training_report.json", f"report/{SPLIT_FILE}"} <= {
        file.path for file in client.list_artifacts(run.run_id, "report")
    }
    told = training(tmp_path, "track", "--version=classifier/3", str(copy), MLFLOW_TRACKING_URI=server)
    assert told.returncode == 0, told.stderr
    assert client.get_run(run.run_id).data.tags["version"] == "classifier/3"
    # What the export reads of it is the checkpoint, with the record of its split.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    original = load_checkpoint(str(copy))
    for address in (f"models:/{run.model_id}", f"runs:/{run.run_id}/model"):
        read = load_checkpoint(address)
        assert np.array_equal(logits(read.model), logits(original.model))
        assert read.split == original.split
        assert read.split is not None


@pytest.mark.parametrize("fault", ["nobody listens", "it never answers", "not installed"])
def test_where_mlflow_is_not_there_one_line_says_so(fault: str, checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if fault == "it never answers":
            listening.listen()
        address = f"http://me:secret@127.0.0.1:{listening.getsockname()[1]}"
        if fault == "not installed":
            (tmp_path / "mlflow").mkdir()
            (tmp_path / "mlflow" / "__init__.py").write_text("raise ImportError('no mlflow here')")
            address = "sqlite:///none.db"
        done = training(tmp_path, "track", "checkpoint", MLFLOW_TRACKING_URI=address)
    assert done.returncode == 1
    assert done.stderr.startswith("Warning: not tracked: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stdout + done.stderr
    assert not (copy / TRACKING_FILE).exists()


def test_a_version_is_trained_further_from_the_checkpoint_that_its_run_kept(
    server: str, checkpoint: Path, tmp_path: Path
) -> None:
    copy, store = tmp_path / "checkpoints" / "classifier", ModelStore(tmp_path / "model_repository", "tracked")
    shutil.copytree(checkpoint, copy)
    exported = write_version(tmp_path / "exported", {words.split()[0]: label for label, words in CLASSES.items()})
    note_weights(exported, weights_text(copy))
    assert store.publish(exported) == 1
    settings = {"MLFLOW_TRACKING_URI": server, "MODEL_NAME": "tracked"}
    for options in ((), ("--version=tracked/1",)):
        assert training(tmp_path, "track", *options, str(copy), **settings).returncode == 0
    shutil.rmtree(copy)
    options = ["--from-version=newest", "--max-steps=1", "--no-baseline", "--no-track", "--output=new"]
    done = training(tmp_path, "train", f"--data={checkpoint.parent / 'maps.csv'}", *options, **settings)
    assert done.returncode == 0, done.stderr
    assert "Training further from version 1 of tracked: its checkpoint is in run " in done.stdout
    assert SplitRecord.read(tmp_path / "new") == SplitRecord.read(checkpoint)


def test_training_goes_on_without_it(checkpoint: Path, tmp_path: Path) -> None:
    folder, port = checkpoint.parent, free_ports(1)[0]
    options = ["--max-steps=1", "--no-baseline", f"--base-model={folder / 'base'}", "--output=c"]
    done = training(tmp_path, f"--data={folder / 'maps.csv'}", *options, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stderr.splitlines() if "not tracked" in line]) == 1
    assert (tmp_path / "c" / "model.safetensors").is_file()
