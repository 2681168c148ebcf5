"""The steps that make a version: each is a command in a process of its own, whose output and status are its own."""

import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from launcher.settings import LauncherSettings
from repository.interrupts import interrupts_wait
from repository.settings import RepositorySettings
from repository.spelling import as_called
from training.tracking.log import TRACKING_FILE


class StepFailedError(Exception):
    """A step ended with an error, which it has already told the user."""

    def __init__(self, command: "Command", status: int) -> None:
        subcommand = (word for word in command.arguments[:1] if not word.startswith("-"))
        called = as_called(" ".join(["python -m", command.module, *subcommand]))
        super().__init__(f"{called} ended with status {status}; the reason is above.")
        self.status = status if status > 0 else 128 - status
        """As a shell counts: ended by a signal, 128 and the signal's number."""


class TerminatedError(KeyboardInterrupt):
    """This process alone was told to end, by SIGTERM."""


def end_as_by_ctrl_c() -> None:
    """Let a SIGTERM end this process, and the step it runs, as Ctrl-C does."""

    def handler(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TerminatedError

    signal.signal(signal.SIGTERM, handler)


@dataclass(frozen=True)
class Command:
    """`python -m MODULE ARGUMENT…`, by this interpreter."""

    module: str
    arguments: tuple[str, ...]

    def run(self) -> None:
        """Run it to its end, its output on this process's own.

        Raises:
            StepFailedError: it ended with another status than 0.
            KeyboardInterrupt: this process was interrupted; the command has ended too, and cleaned up.
        """
        process = None
        try:
            with interrupts_wait():
                process = subprocess.Popen([sys.executable, "-m", self.module, *self.arguments])
            status = process.wait()
        except KeyboardInterrupt as error:
            if process is not None:
                if isinstance(error, TerminatedError):  # Ctrl-C reaches both
                    process.terminate()
                process.wait()
            raise
        if status != 0:
            raise StepFailedError(self, status)


def inspect(settings: LauncherSettings) -> Command:
    """Look at DATA before anything is trained."""
    return Command("training", ("inspect", *settings.column_options(), "--", str(settings.data)))


def train(settings: LauncherSettings) -> Command:
    """Fine-tune into CHECKPOINT."""
    return Command("training", ("train", *settings.training_options()))


def evaluate(settings: LauncherSettings) -> Command:
    """Ask CHECKPOINT its test texts again and write its report anew."""
    data = (f"--data={source}" for source in settings.all_data())
    return Command("training", ("evaluate", *data, "--", str(settings.checkpoint)))


def gate(settings: LauncherSettings) -> Command:
    """Refuse CHECKPOINT where it is worse than what is served."""
    data = (f"--data={source}" for source in settings.all_data())
    how = (f"--margin={settings.gate_margin}", f"--unsure={settings.gate_unsure}")
    return Command("launcher.gate", (*data, *how, "--", str(settings.checkpoint)))


def export(settings: LauncherSettings, exported: Path) -> Command:
    """Turn CHECKPOINT into a version folder."""
    options = [f"--precision={settings.precision}", *settings.export_data_options(), f"--output={exported}"]
    options += [f"--labels={settings.labels}"] if settings.labels else []
    options += shlex.split(settings.export_options)
    # Behind `--` a folder may begin with a dash.
    return Command("export", ("export", *options, "--", str(settings.checkpoint)))


def publish(settings: LauncherSettings, repository: RepositorySettings, exported: Path) -> Command:
    """Publish a version folder as the next version."""
    place = (f"--repository={repository.model_repository}", f"--model={repository.model_name}")
    return Command("repository", ("publish", *place, *shlex.split(settings.publish_options), "--", str(exported)))


def tell_tracking(checkpoint: Path, model: str, number: int) -> None:
    """Note in the run that a checkpoint came from, if it was tracked, which version it has become.

    The version is published by then: where MLflow cannot be reached, that is a warning.
    """
    if (checkpoint / TRACKING_FILE).is_file():
        arguments = ["track", f"--version={model}/{number}", "--", str(checkpoint)]
        subprocess.run([sys.executable, "-m", "training", *arguments])
