"""`python -m launcher.gate`: may a model take the place of the one that is served? Not if it is worse beyond the noise.

Both are asked the test texts that neither was trained on. The difference of their headline figures (macro-F1; of
numbers the mean absolute error) is computed again over draws of whole groups: only where all of its 95 % interval is
worse than the margin allows is the model refused.
"""

import typer
from pydantic import ValidationError

from launcher import gate_options as own
from launcher.gate_options import UnsureOption
from launcher.settings import LauncherSettings
from launcher.verdict import GateError, UnsureError, Verdict, judge
from repository.console import Console
from repository.exit_status import INTERRUPTED, fail, one_line
from repository.manifest import RepositoryError
from repository.settings import RepositorySettings, setting_mistakes
from training.data.examples import DataError

REFUSED = 1

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
out = Console()
errors = Console(stderr=True)


@app.command()
def gate(
    candidate: own.Candidate = None,
    data: own.Data = None,
    served: own.Served = None,
    margin: own.Margin = None,
    unsure: own.Unsure = None,
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
        verdict = _unsure(error, unsure or UnsureOption(settings.gate_unsure))
    except ValidationError as error:
        fail("; ".join(setting_mistakes(error)))
    except (GateError, DataError, RepositoryError) as error:
        fail(one_line(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not verdict.passed:
        errors.print(f"Gate refused: {verdict.line}")
        raise typer.Exit(REFUSED)
    out.print(f"Gate passed: {verdict.line}")


def _unsure(error: UnsureError, wanted: UnsureOption) -> Verdict:
    """What becomes of a model that cannot be compared."""
    passes = wanted is UnsureOption.PASS
    hint = "let through as --unsure pass says" if passes else "--unsure pass (GATE_UNSURE) lets it through"
    return Verdict(passes, f"cannot be compared: {error} ({hint}).")


if __name__ == "__main__":
    app(prog_name="python -m launcher.gate")
