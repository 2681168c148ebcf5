"""How does MLflow learn of a checkpoint? From its files, once they are whole; training never depends on it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from repository.console import Console
from repository.exit_status import INTERRUPTED
from repository.spelling import as_called
from repository.strict_json import strict_json

TRACKING_FILE = "tracking.json"
URI = "MLFLOW_TRACKING_URI"
# In the working folder, where MLflow itself looks for them if it is not told otherwise.
LOCAL_STORE = "mlflow.db"
LOCAL_ARTIFACTS = "mlartifacts"
# A server that takes no more than a few MB a second is given up on with a large checkpoint.
LONGEST_SECONDS = 600
_PASSWORD = re.compile(r"(?<=//)[^/\s]+@|(?<=[?&])(?:password|token|sig)=[^&\s]+", re.IGNORECASE)


class TrackingError(Exception):
    """MLflow is not installed, cannot be reached or refuses; the message is one sentence and holds no password."""


@dataclass(frozen=True)
class TrackedRun:
    """`tracking.json` of a checkpoint: the run that it was logged as."""

    uri: str
    """Of the store or server, without a password."""
    run_id: str
    model_id: str

    def write(self, checkpoint: Path) -> None:
        """Write it beside the weights."""
        (checkpoint / TRACKING_FILE).write_text(strict_json(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, checkpoint: Path) -> "TrackedRun":
        """Read it.

        Raises:
            TrackingError: there is none, or it is broken.
        """
        path = checkpoint / TRACKING_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(found["uri"]), str(found["run_id"]), str(found["model_id"]))
        except FileNotFoundError:
            raise TrackingError(f"{checkpoint} was not tracked: it has no {TRACKING_FILE}") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise TrackingError(f"{path} names no run of MLflow") from None


def is_wanted(given: bool | None) -> bool:
    """Whether to track: as `--track` or `--no-track` says, else where MLFLOW_TRACKING_URI names a place for it."""
    return bool(os.environ.get(URI)) if given is None else given


def tracking_uri() -> str:
    """Return where runs are logged to: MLFLOW_TRACKING_URI, else a SQLite file in the working folder."""
    return os.environ.get(URI) or f"sqlite:///{Path(LOCAL_STORE).absolute()}"


def without_password(text: str) -> str:
    """Return a text without the passwords of the addresses in it, nor those that MLflow is given beside them."""
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return _PASSWORD.sub(lambda found: "***@" if found[0].endswith("@") else f"{found[0].split('=')[0]}=***", text)


def track(checkpoint: Path) -> None:
    """Log a checkpoint that was just trained, by a process of its own, whose end is waited for no longer than 600 s.

    Whatever comes of it, the checkpoint is as it was; what went wrong is one line.

    Raises:
        typer.Exit: interrupted.
    """
    command = [sys.executable, "-m", "training", "track", "--", str(checkpoint)]
    try:
        subprocess.run(command, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        Console(stderr=True).print(not_tracked(f"MLflow took longer than {LONGEST_SECONDS} s", checkpoint))
    except KeyboardInterrupt:
        Console(stderr=True).print(not_tracked("interrupted", checkpoint))
        raise typer.Exit(INTERRUPTED) from None


def not_tracked(reason: str, checkpoint: Path) -> str:
    """Return the line that says so."""
    return (
        f"Warning: not tracked: {without_password(' '.join(reason.split())).rstrip('.')}. The checkpoint is whole; "
        f"`{as_called('python -m training track')} {checkpoint}` tries again."
    )
