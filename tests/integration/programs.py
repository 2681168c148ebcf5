"""A long-running program of the project, started as a user starts it, and all the processes that it starts."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.places import ROOT


def start_in(folder: Path, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Run `python -m module`, which writes to `log` in the folder; `started_by` knows its processes."""
    env = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT
        )


def started_by(folder: Path) -> list[int]:
    """The program in this folder, and all that it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                found.append(process.pid)
    return found
