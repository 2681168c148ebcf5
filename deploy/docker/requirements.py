"""Prints what parts of the project need, one requirement a line: `python requirements.py pyproject.toml gateway`.

With it an image's packages are a layer of their own, which is built anew only when pyproject.toml or the lock changes,
and an image holds the folders it runs and no others.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """What the project needs always, and for each of the extras. Raises KeyError for an extra that there is not."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), sys.argv[2:])) + "\n")
