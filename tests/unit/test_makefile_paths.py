"""`make train` and `make export` take any path, whatever the shell or make would read into it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository.manifest import Manifest
from tests.places import ROOT as REPOSITORY
from tests.unit.training.data.test_maps import rows_of, write
from tests.word_checkpoints import tiny_bert
from tests.word_checkpoints import write as write_checkpoint

# A blank, both quotation marks, a variable of the shell's and of make's, the end of a command, a leading dash.
AWKWARD = '-it\'s "my" $HOME $(shell touch made); touch hacked & `touch run`'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(target: str, folder: Path, *settings: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # `-o setup`: nothing is installed, whatever the dates of files say.
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "setup", f"VENV={sys.prefix}", *settings, target]
    paths = {"PYTHONPATH": str(REPOSITORY), "MODEL_REPOSITORY": f"{AWKWARD} repository"}
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command, cwd=folder, env={**clean, **paths, **environment}, capture_output=True, text=True, check=False
    )


def test_a_path_may_hold_blanks_quotation_marks_and_what_a_shell_would_run(tmp_path: Path) -> None:
    data = f"{AWKWARD} data.csv"
    write(tmp_path / data, rows_of(maps_a_class=4))
    write_checkpoint(tmp_path / f"{AWKWARD} base", tiny_bert(max_position_embeddings=80))
    settings = [f"DATA={data}", f"CHECKPOINT={AWKWARD} checkpoint", f"EXPORTED={AWKWARD} exported", "PRECISION=fp32"]
    options = [
        f"BASE_MODEL={AWKWARD} base",
        f"LANGUAGE_COLUMN={AWKWARD}",
        "TRAIN_OPTIONS=--max-steps '2' --no-baseline",
    ]
    trained = make("train", tmp_path, *settings, *options)
    assert trained.returncode == 0, trained.stderr
    # From the environment as from the command line.
    exported = make("export", tmp_path, **dict(setting.split("=", 1) for setting in settings))
    assert exported.returncode == 0, exported.stderr
    assert Manifest.read(tmp_path / f"{AWKWARD} repository" / "classifier" / "1").labels == ["Education", "Life"]
    names = {"data.csv", "base", "checkpoint", "exported", "repository"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{AWKWARD} {name}" for name in names}
