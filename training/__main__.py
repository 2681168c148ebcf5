"""`python -m training`: look at data, and fine-tune a classifier on it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from repository.default_command import DefaultCommandGroup
from repository.missing import extra_named
from training.commands.distill import distill_classifier
from training.commands.evaluate import evaluate_checkpoint
from training.commands.inspect import inspect_data
from training.commands.track import track_checkpoint
from training.commands.train import train_classifier

app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Look at data, and fine-tune a text classifier on it.",
    epilog="`train` is meant where no command is named; `train --help` lists its options.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("train")(train_classifier)
app.command("distill")(distill_classifier)
app.command("evaluate")(evaluate_checkpoint)
app.command("inspect")(inspect_data)
app.command("track")(track_checkpoint)


@contextmanager
def running() -> Iterator[None]:
    """What holds while a command runs: a SIGTERM ends it as Ctrl-C does, so that nothing half-written is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with extra_named("train"):
        yield


def main() -> None:
    """Run the command line."""
    with running():
        app(prog_name="python -m training")


if __name__ == "__main__":
    main()
