"""`python -m launcher.publish` publishes what is not there yet, and nothing twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repository.config import ModelConfig
from repository.store import ModelStore
from tests.version_folders import write_version


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "repository", "classifier")
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    store.publish(write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"}))
    return store


def launch(store: ModelStore, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MODEL_REPOSITORY": str(store.folder.parent), **settings}
    command = [sys.executable, "-m", "launcher.publish", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_published_version_is_left_as_it_is(store: ModelStore, tmp_path: Path) -> None:
    ended = launch(store, CHECKPOINT=str(tmp_path / "none"), DATA=str(tmp_path / "none.csv"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"Version 1 of classifier is published in {store.folder.parent}.\n"
    assert store.numbers() == [1]


def test_one_more_is_made_only_when_asked_for(store: ModelStore, tmp_path: Path) -> None:
    ended = launch(store, "--again", CHECKPOINT=str(tmp_path / "none"), DATA=str(tmp_path / "none.csv"))
    assert ended.returncode == 2
    assert "python -m training train ended with status" in ended.stderr
    assert store.numbers() == [1]


def test_a_sigterm_ends_the_step_that_it_is_at(tmp_path: Path) -> None:
    settings = {"MODEL_REPOSITORY": str(tmp_path / "repository"), "CHECKPOINT": str(tmp_path / "checkpoint")}
    process = subprocess.Popen([sys.executable, "-m", "launcher.publish"], env={**os.environ, **settings})
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (steps := children.read_text().split()):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=120) == 128 + signal.SIGINT
    assert not Path(f"/proc/{steps[0]}").exists()
    assert not (tmp_path / "checkpoint").exists()


def test_a_mistake_in_a_setting_is_one_line(store: ModelStore) -> None:
    ended = launch(store, PRECISION="int4")
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: PRECISION: ")
    assert ended.stderr.count("\n") == 1
