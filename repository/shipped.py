"""Where do the files lie that come with the program, and where does it keep what it installs? Standard library only.

The packages lie side by side in one folder, `ROOT`: a checkout, an image's /app, or `text_classifier/packages` of an
installed wheel, which holds the files that are read at run time under the same names as the checkout does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the packages."""

INSTALLED = ROOT.parts[-2:] == ("text_classifier", "packages")
"""Whether this is an installed wheel, whose folder is nobody's to write to."""

SAMPLE_DATA = ROOT / "data" / "public_maps.csv"
"""The data set that comes with the project; its data card is beside it."""

TRITON_LOCK = ROOT / "locks" / "triton.txt"
"""The packages of the embedded Triton's environment."""

README = ROOT / "README.md"
"""The front page, in a checkout alone."""

_MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"

OURS = (ROOT, ROOT / "client")
"""Folders that the command `text-classifier` leads Python to."""

COMMAND_VARIABLE = "TEXT_CLASSIFIER_COMMAND"
"""Environment variable that the command `text-classifier` sets for itself and the processes it starts."""


def triton_environment() -> Path:
    """Where the embedded Triton is installed unless TRITON_ENV says so: `.triton` in a checkout, else the user's cache.

    The cache is XDG_CACHE_HOME, `~/.cache` by default; each version of Python has its own there. A user without a home
    keeps it in the current folder.
    """
    if not INSTALLED:
        return ROOT / ".triton"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        cache = cache.expanduser()
    except RuntimeError:
        return Path(".triton")
    # A relative one counts for nothing (XDG Base Directory Specification).
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "text-classifier" / f"triton-{_MINOR}"


def environment_of_others() -> dict[str, str]:
    """This process's environment without what leads a Python to these packages: for other people's programs."""
    environment = dict(os.environ)
    if environment.pop(COMMAND_VARIABLE, None) is None:
        return environment
    environment.pop("PYTHONSAFEPATH", None)
    paths = [path for path in environment.pop("PYTHONPATH", "").split(os.pathsep) if path and Path(path) not in OURS]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)} if paths else environment
