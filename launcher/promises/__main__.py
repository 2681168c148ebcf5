"""`python -m launcher.promises`: writes Prometheus's rules from the file of promises."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.promises.rules import rules_text
from launcher.promises.slo import SLO_FILE, PromisesError, read_promises
from repository.console import Console
from repository.exit_status import fail

RULES_FILE = SLO_FILE.parent / "prometheus" / "promises.yaml"

out = Console()


def write_rules(
    promises: Annotated[Path, typer.Option(help="File that says what is promised.")] = SLO_FILE,
    rules: Annotated[Path, typer.Option(help="File of rules that is written, for Prometheus.")] = RULES_FILE,
) -> None:
    """Write rules for Prometheus from what is promised: budgets, and alerts on how fast they are used up."""
    try:
        text = rules_text(read_promises(promises))
        rules.write_text(text, encoding="utf-8")
    except PromisesError as error:
        fail(error)
    except OSError as error:
        fail(f"{rules} can't be written: {error.strerror}.")
    out.print(f"Wrote {rules}.")


if __name__ == "__main__":
    typer.run(write_rules)
