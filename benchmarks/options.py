"""What the commands have in common: the model that is measured, and lists of numbers as options."""

from typing import Annotated

import typer

from benchmarks.measure.service import ServiceError
from benchmarks.report.cost import Price
from repository.console import Console
from repository.exit_status import fail
from repository.settings import RepositorySettings
from repository.spelling import as_called
from repository.store import ModelStore

errors = Console(stderr=True)


def _price(text: str) -> Price:
    try:
        return Price.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


PricePerHour = Annotated[
    Price | None,
    typer.Option(
        "--price-per-hour",
        metavar="PRICE",
        parser=_price,
        help="What this machine costs an hour, with or without a currency: $0.53 or '0.53 €'. Reports then say what a "
        "million classifications cost.",
        show_default=False,
    ),
]


def show_failure(error: Exception) -> None:
    """Say why nothing was measured; a server that did not start says it by the end of its log."""
    if isinstance(error, ServiceError):
        errors.error("a server did not come up; its log ends with")
        errors.page(str(error))
    else:
        errors.error(error)


def published() -> tuple[ModelStore, int]:
    """The model that the settings name, and its newest version; ends the program where there is none."""
    store = ModelStore.from_settings(RepositorySettings())
    numbers = store.numbers()
    if not numbers:
        fail(f"{store.folder} holds no version: run `{as_called('make up')}` or publish one first.")
    return store, numbers[-1]


def numbers(text: str, least: int = 1) -> list[int]:
    """Whole numbers with commas between them. Raises BadParameter: it is no such list, or one is below `least`."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers with commas") from None
    if min(found) < least:
        raise typer.BadParameter(f"numbers must be at least {least}")
    return found
