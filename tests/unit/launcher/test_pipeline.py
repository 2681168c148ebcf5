"""`python -m launcher.pipeline` goes from a table to a published version, stops where a step fails, goes on there."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from launcher.settings import LauncherSettings
from launcher.steps import export, publish
from pretrained.weights import weights_digest
from repository.manifest import Manifest
from repository.settings import RepositorySettings
from repository.store import ModelStore
from tests.any_table import LABELS, texts, write_table
from tests.places import ROOT
from tests.tiny_pipeline import CLASSES, write_tiny_base
from tests.version_folders import write_version


def pipeline(folder: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DATA": "a.csv",
        "TEXT_COLUMN": "headline, body",
        "LABEL_COLUMN": "answer",
        "BASE_MODEL": "base",
        "TRAIN_OPTIONS": "--max-steps 3 --no-baseline",
        "PRECISION": "fp32",
        "TRACK": "no",
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    command = [sys.executable, "-m", "launcher.pipeline", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_table_becomes_a_version_and_a_worse_model_stops_at_the_gate(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", LABELS["one"][3])
    write_tiny_base("bert", tmp_path / "base")
    first = pipeline(tmp_path, TRACK="", MLFLOW_TRACKING_URI="", MLFLOW_DISABLE_TELEMETRY="true")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "text headline + body, label answer (3 classes)" in first.stdout
    assert "Gate passed: no version of classifier is published yet." in first.stdout
    assert "version 1 of classifier" in first.stdout.splitlines()[-2]  # of the table
    store = ModelStore(tmp_path / "model_repository", "classifier")
    assert Manifest.read(store.folder / "1").labels == sorted(CLASSES)
    if find_spec("mlflow") is not None:  # the extra track
        assert f"in sqlite:///{tmp_path}/mlflow.db" in first.stdout
        assert list((tmp_path / "mlartifacts").rglob("model.safetensors"))
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as runs:
            assert runs.execute("SELECT value FROM tags WHERE key = 'version'").fetchall() == [("classifier/1",)]
    # What is served now knows every verb; three steps of training do not.
    words = {text.split()[0]: label for text, label in texts()}
    better = store.publish(write_version(tmp_path / "better", words))
    shutil.copy(tmp_path / "checkpoints" / "classifier" / "split.json", store.folder / str(better))
    refused = pipeline(tmp_path, "--from", "gate")
    assert refused.returncode == 1
    assert "worse beyond the noise" in refused.stderr
    assert "Stopped at gate; go on with --from gate" in refused.stderr
    assert "not reached" in refused.stdout
    assert store.numbers() == [1, 2]


def test_what_is_served_is_trained_further_in_place(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", LABELS["one"][3])
    further = {
        "BASE_MODEL": "",
        "TRAIN_OPTIONS": "--from-version newest --max-steps 3 --learning-rate 1e-6 --no-baseline",
    }
    too_early = pipeline(tmp_path, **further)
    assert too_early.returncode == 2
    assert "the first is trained without --from-version" in too_early.stderr
    write_tiny_base("bert", tmp_path / "base")
    first = pipeline(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    second = pipeline(tmp_path, **further)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Training further from version 1 of classifier: its checkpoint is checkpoints/classifier." in second.stdout
    store = ModelStore(tmp_path / "model_repository", "classifier")
    weights = [Manifest.read(store.folder / str(number)).weights for number in store.numbers()]
    assert weights == [weights_digest(tmp_path / "checkpoints" / name) for name in ("classifier.before", "classifier")]
    assert weights[0] != weights[1]
    assert "Trained further from version 1 of classifier" in (store.folder / "2" / "README.md").read_text()


def test_it_ends_with_the_status_of_the_step_that_fails(tmp_path: Path) -> None:
    ended = pipeline(tmp_path, "--only", "train", "--only", "publish", DATA="none.csv")
    assert ended.returncode == 2
    assert "there is no such file" in ended.stderr
    assert "failed with status 2" in ended.stdout
    assert "not reached" in ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TRAIN_OPTIONS": "--base-model 'a b"}, "TRAIN_OPTIONS: No closing quotation"),
        ({"GATE_MARGIN": "-1"}, "GATE_MARGIN: "),
    ],
)
def test_a_mistake_in_a_setting_is_one_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    ended = pipeline(tmp_path, **settings)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Error: {said}")
    assert ended.stderr.count("\n") == 1


def test_the_validation_file_and_further_options_reach_the_export(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.csv" for name in ("data", "test_data", "validation_data")}
    settings = LauncherSettings(
        data=files["data"],
        test_data=files["test_data"],
        validation_data=files["validation_data"],
        export_options="--rule agreement --margin 0.01",
    )
    arguments = export(settings, tmp_path / "exported").arguments
    assert {f"--data={files['test_data']}", f"--calibration={files['data']}"} < set(arguments)
    assert f"--validation={files['validation_data']}" in arguments
    place = arguments.index("--rule")
    assert arguments[place : place + 4] == ("--rule", "agreement", "--margin", "0.01")


def test_further_options_reach_the_publish(tmp_path: Path) -> None:
    settings = LauncherSettings(publish_options="--as candidate --after 1000")
    arguments = publish(settings, RepositorySettings(), tmp_path / "exported").arguments
    assert arguments[-6:] == ("--as", "candidate", "--after", "1000", "--", str(tmp_path / "exported"))
