"""`python -m launcher.gate`: may a model take the place of the one that is served? Not if it is worse beyond the noise.

Both are asked the test texts that neither was trained on. The difference of their headline figures (macro-F1; of
numbers the mean absolute error) is computed again over draws of whole groups: only where all of its 95 % interval is
worse than the margin allows is the model refused.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from launcher.settings import LauncherSettings
from launcher.verdict import GateError, UnsureError, Verdict, judge
from repository.console import Console
from repository.manifest import RepositoryError
from repository.settings import RepositorySettings, setting_mistakes
from training.data.examples import DataError

REFUSED = 1
USER_MISTAKE = 2
INTERRUPTED = 130

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
out = Console()
errors = Console(stderr=True)


class Unsure(StrEnum):
    """Values of `--unsure`."""

    REFUSE = "refuse"
    PASS = "pass"


@app.command()
def gate(
    candidate: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of a checkpoint that `python -m training` wrote, or of an exported version.",
            show_default="CHECKPOINT",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="What the model was tested on: the file that it was trained on, or its test file. Repeat it for "
            "several.",
            show_default="DATA, VALIDATION_DATA and TEST_DATA",
        ),
    ] = None,
    served: Annotated[
        str | None,
        typer.Option(
            help="Version to hold it against: a number in MODEL_REPOSITORY, or a version folder.",
            show_default="the one that is served",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How much worse it may be beyond the noise: in macro-F1, or in the unit of the numbers.",
            show_default="GATE_MARGIN, else 0",
        ),
    ] = None,
    unsure: Annotated[
        Unsure | None,
        typer.Option(
            help="What to do where the two cannot be compared: they answer different things, or too few test texts are "
            "new to both.",
            show_default="GATE_UNSURE, else refuse",
        ),
    ] = None,
) -> None:
    """Refuse a model that is worse than the served version beyond the noise; one line says why.

    Compared is macro-F1, of numbers the mean absolute error, on the test texts that neither model was trained on. The
    model is refused if the whole 95 % interval of the difference, over groups, is worse than the margin. Where no
    version is published yet, every model passes.

    Exit status: 0 passed, 1 refused, 2 something you gave can't be used, 130 interrupted.
    """
    try:
        settings, repository = LauncherSettings(), RepositorySettings()
        verdict = judge(
            candidate or settings.checkpoint,
            data or settings.all_data(),
            served,
            settings.gate_margin if margin is None else margin,
            repository,
        )
    except UnsureError as error:
        passes = (unsure or Unsure(settings.gate_unsure)) is Unsure.PASS
        hint = "let through as --unsure pass says" if passes else "--unsure pass (GATE_UNSURE) lets it through"
        verdict = Verdict(passes, f"cannot be compared: {error} ({hint}).")
    except ValidationError as error:
        _fail("; ".join(setting_mistakes(error)))
    except (GateError, DataError, RepositoryError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not verdict.passed:
        errors.print(f"Gate refused: {verdict.line}")
        raise typer.Exit(REFUSED)
    out.print(f"Gate passed: {verdict.line}")


def _fail(reason: str) -> None:
    errors.error(" ".join(reason.split()))
    raise typer.Exit(USER_MISTAKE)


if __name__ == "__main__":
    app(prog_name="python -m launcher.gate")
