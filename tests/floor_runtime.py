"""A small environment with exactly the ONNX Runtime that every export has to load in; made once, in `.floor`."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK_FILE = ROOT / "locks" / "floor.txt"
# Written last: an install that was interrupted has none and is made anew.
STAMP = "installed.txt"


class FloorMissingError(Exception):
    """The environment cannot be made here; the message says why in one line."""


def floor_python(folder: Path = ROOT / ".floor") -> Path:
    """Its interpreter; the environment is made if it is not there or is of another lock file.

    `FLOOR_PYTHON` names one that is there already.

    Raises:
        FloorMissingError: pip cannot install it, as on Python 3.13, which this build does not know.
    """
    if given := os.environ.get("FLOOR_PYTHON"):
        return Path(given)
    python, stamp = folder / "bin" / "python", folder / STAMP
    if stamp.is_file() and stamp.read_text() == LOCK_FILE.read_text():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FloorMissingError(f"no virtual environment for ONNX Runtime's oldest build: {error}") from None
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", LOCK_FILE]
    installed = subprocess.run(command, capture_output=True, text=True)
    if installed.returncode != 0:
        reason = [line for line in installed.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise FloorMissingError(f"ONNX Runtime's oldest build cannot be installed: {reason[-1][:200]}")
    stamp.write_text(LOCK_FILE.read_text())
    return python
