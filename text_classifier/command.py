"""`text-classifier`: leads this process and those it starts to the packages, then runs the command line."""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def packages() -> Path:
    """Where the packages lie: in the installed wheel, else at the top of the checkout."""
    inside = _HERE / "packages"
    return inside if inside.is_dir() else _HERE.parent


def packages_first() -> None:
    """Let `import export` find this project's package, here and in the processes that this one starts.

    The client, which is a distribution of its own, lies in a folder beside them.

    A folder of that name where the command is called from would come before, so Python does not look there
    (PYTHONSAFEPATH). `repository.shipped.environment_of_others` undoes it for other people's programs.
    """
    folders = [str(packages()), str(packages() / "client")]
    sys.path[:0] = folders
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, before] if before else folders)
    os.environ["PYTHONSAFEPATH"] = "1"


def main() -> None:
    """Run the command line."""
    packages_first()
    from repository.shipped import COMMAND_VARIABLE
    from repository.spelling import COMMAND
    from text_classifier.commands import app

    os.environ[COMMAND_VARIABLE] = "1"
    app(prog_name=COMMAND)
