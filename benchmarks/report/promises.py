"""What a benchmark measured is held against what is promised: the same file that Prometheus's alerts are made of."""

from collections.abc import Callable, Mapping
from pathlib import Path

from launcher.promises.slo import Promises, PromisesError, read_promises
from launcher.promises.verdicts import Verdict, verdicts
from repository.exit_status import fail

USUAL = Path("deploy/slo.yaml")


def promises_of(path: Path | None) -> Promises | None:
    """What is promised by a file, or by the checkout's; None outside of a checkout, where no file was named.

    Raises:
        typer.Exit: the file can't be read, or holds no promises.
    """
    if path is None and not USUAL.is_file():
        return None
    try:
        return read_promises(path or USUAL)
    except PromisesError as error:
        fail(error)


def told(promises: Promises | None, figures: Mapping[str, float], tell: Callable[[str], None]) -> list[Verdict]:
    """A verdict on each promise that was measured, which is told, a line each."""
    found = [] if promises is None else verdicts(promises, figures)
    for verdict in found:
        tell(f"promise {verdict}")
    return found
