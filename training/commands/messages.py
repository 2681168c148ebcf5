"""What a run that writes a checkpoint says at its beginning, when it is interrupted, and at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repository.console import Console
from training.commands import options
from training.data.load import TrainingData

if TYPE_CHECKING:  # torch takes seconds to import
    from training.fit.checkpoints import Run

errors = Console(stderr=True)


def tell_data(data: TrainingData) -> None:
    """Print a line of what the data is, where a column that was guessed wrong shows, and its warnings."""
    Console().print(options.summary_of(data))
    for warning in data.warnings:
        errors.print(f"Warning: {warning}")


def announce(run: "Run", resume: bool) -> None:
    """Say whether a run goes on or begins, where that is not what one would think."""
    from training.fit.checkpoints import progress_of

    if run.checkpoint:
        Console().print(f"Going on from {progress_of(run.checkpoint)}.")
    elif resume:
        Console().print("There is no interrupted run to go on with: this one begins.")
    elif run.interrupted:
        errors.print(
            f"Warning: an interrupted run is there ({run.interrupted}): --resume continues it. This is a new one."
        )


def how_to_go_on(output: Path, trials: int | None = None) -> str:
    """Return the rest of the line that says of an interrupted run what is left of it."""
    from training.fit.checkpoints import interrupted_run

    if progress := interrupted_run(output):
        return f"; the same command with --resume goes on from {progress}"
    kept = trials and output.with_name(f"{output.name}.trials.sqlite3").exists()
    return "; the same command with --resume goes on with the trials" if kept else ""


def tell_report(found: dict[str, Any], output: Path) -> None:
    """Print the figures of the model, and where it is."""
    from training.report.contents import show_report
    from training.report.findings import beside_teacher

    console = Console()
    show_report(found, console)
    if sentence := beside_teacher(found):
        console.print(sentence)
    console.print(f"Checkpoint: {output} ({found['seconds']['total']:.0f} s)")
