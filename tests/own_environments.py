"""Environments of their own for programs that want other versions than the project; made once, from a lock file."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.places import ROOT

LOCKS = ROOT / "locks"
# Written last: an install that was interrupted has none and is made anew.
STAMP = "installed.txt"


class EnvironmentMissingError(Exception):
    """The environment cannot be made here; the message says why in one line."""


def own_python(name: str, *packages: str, folder: Path | None = None) -> Path:
    """The interpreter of the environment `.NAME`, made of `locks/NAME.txt` if it is not there or is of another lock.

    `NAME_PYTHON` names one that is there already.

    Args:
        name: such as `airflow`.
        packages: what to install, in the versions of the lock; none: all that the lock names and nothing else.
        folder: where it is made; None: `.NAME`.

    Raises:
        EnvironmentMissingError: pip cannot install it, as where no package index is reached.
    """
    if given := os.environ.get(f"{name.upper()}_PYTHON"):
        return Path(given)
    folder, lock = folder or ROOT / f".{name}", LOCKS / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / STAMP
    if stamp.is_file() and stamp.read_text() == lock.read_text():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentMissingError(f"no virtual environment for {name}: {error}") from None
    wanted = ["-c", lock, *packages] if packages else ["--no-deps", "-r", lock]
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(command, capture_output=True, text=True)
    if installed.returncode != 0:
        reason = [line for line in installed.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise EnvironmentMissingError(f"{name} cannot be installed: {reason[-1][:200]}")
    stamp.write_text(lock.read_text())
    return python


if __name__ == "__main__":
    own_python(sys.argv[1], *sys.argv[2:])
