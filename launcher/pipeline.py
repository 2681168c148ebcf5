"""`python -m launcher.pipeline` (`make pipeline`): from data to a published version, step by step.

inspect, train, evaluate, gate, export, publish: each is the command that a person would give, in a process of its own.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Annotated

import typer
from pydantic import ValidationError

from launcher import steps
from launcher.settings import LauncherSettings
from launcher.steps import Command, StepFailedError, end_as_by_ctrl_c
from repository.console import Console, Table, styled
from repository.exit_status import FAILED, INTERRUPTED, USER_MISTAKE, fail
from repository.manifest import RepositoryError
from repository.places import open_history
from repository.settings import RepositorySettings, setting_mistakes
from repository.spelling import by_command

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
out = Console()
errors = Console(stderr=True)


class StepName(StrEnum):
    """The steps, in their order."""

    INSPECT = "inspect"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    EXPORT = "export"
    PUBLISH = "publish"


@dataclass
class Outcome:
    """How a step ended."""

    step: StepName
    result: str = "not reached"
    seconds: float | None = None
    style: str = "dim"


@app.command()
def pipeline(
    start: Annotated[
        StepName | None,
        typer.Option("--from", help="Begin with this step: what the ones before it made is there.", show_default="all"),
    ] = None,
    only: Annotated[
        list[StepName] | None, typer.Option(help="Take this step alone. Repeat it for several.", show_default="all")
    ] = None,
) -> None:
    """Inspect data, train a model, evaluate it, hold it against the served one, export and publish it.

    Settings are environment variables (DATA, TEXT_COLUMN, LABEL_COLUMN, BASE_MODEL, TRAIN_OPTIONS, CHECKPOINT,
    GATE_MARGIN, PRECISION, MODEL_REPOSITORY and others); docs/reference/settings.md lists them. The first step that
    fails ends it; go on with --from once what it said is mended.

    Exit status: that of the step that failed; 0 all done, 1 the gate refused the model, 2 a setting can't be used,
    130 interrupted.
    """
    try:
        settings, repository = LauncherSettings(), RepositorySettings()
    except ValidationError as error:
        for mistake in setting_mistakes(error):
            errors.error(mistake)
        raise typer.Exit(USER_MISTAKE) from None
    names = [name for name in StepName if not only or name in only]
    if settings.track is None and not only and importlib.util.find_spec("mlflow") is not None:
        settings = settings.model_copy(update={"track": True})
    if start is not None:
        names = names[names.index(start) :] if start in names else []
    if not names:
        fail(f"--from {start} leaves none of the steps that --only names.")
    raise typer.Exit(run_steps(names, settings, repository))


def run_steps(names: list[StepName], settings: LauncherSettings, repository: RepositorySettings) -> int:
    """Take steps in order until one fails, each under a line that names it; sum them up; return the exit status."""
    outcomes = [Outcome(name) for name in names]
    status = 0
    for outcome in outcomes:
        if (status := _take(outcome, settings, repository)) != 0:
            break
    if len(outcomes) > 1:
        _sum_up(outcomes)
    if status != 0 and len(outcomes) > 1:
        hint = "" if by_command() else f" (make pipeline FROM={outcome.step})"
        errors.print(f"Stopped at {outcome.step}; go on with --from {outcome.step}{hint}.")
    return status


def _take(outcome: Outcome, settings: LauncherSettings, repository: RepositorySettings) -> int:
    out.print(styled(f"── {outcome.step} ", "bold"))
    begun = perf_counter()
    try:
        _command(outcome.step, settings, repository).run()
        outcome.result = _published(settings, repository) if outcome.step is StepName.PUBLISH else "done"
        outcome.style, status = "", 0
    except StepFailedError as error:
        outcome.result, outcome.style, status = f"failed with status {error.status}", "red", error.status
    except RepositoryError as error:
        errors.error(error)
        outcome.result, outcome.style, status = "failed", "red", FAILED
    except KeyboardInterrupt:
        outcome.result, outcome.style, status = "interrupted", "red", INTERRUPTED
    outcome.seconds = perf_counter() - begun
    return status


def _command(step: StepName, settings: LauncherSettings, repository: RepositorySettings) -> Command:
    match step:
        case StepName.INSPECT:
            return steps.inspect(settings)
        case StepName.TRAIN:
            return steps.train(settings)
        case StepName.EVALUATE:
            return steps.evaluate(settings)
        case StepName.GATE:
            return steps.gate(settings)
        case StepName.EXPORT:
            return steps.export(settings, settings.exported)
        case StepName.PUBLISH:
            return steps.publish(settings, repository, settings.exported)


def _published(settings: LauncherSettings, repository: RepositorySettings) -> str:
    number = open_history(repository).numbers()[-1]
    steps.tell_tracking(settings.checkpoint, repository.model_name, number)
    return f"version {number} of {repository.model_name}"


def _sum_up(outcomes: list[Outcome]) -> None:
    table = Table("step", "result", "seconds")
    table.columns[2].justify = "right"
    for outcome in outcomes:
        seconds = "" if outcome.seconds is None else f"{outcome.seconds:.1f}"
        table.add_row(outcome.step.value, styled(outcome.result, outcome.style), seconds)
    out.table(table)


@contextmanager
def running() -> Iterator[None]:
    """What holds while the command runs: a SIGTERM ends it, and the step that it is at, as Ctrl-C does."""
    end_as_by_ctrl_c()
    yield


if __name__ == "__main__":
    with running():
        app(prog_name="python -m launcher.pipeline")
