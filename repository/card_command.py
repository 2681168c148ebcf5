"""`python -m repository card`: with which settings to begin on the NVIDIA card of this machine."""

from typing import Annotated

import typer

from repository.cards import CARDS, Card, found_card
from repository.command_options import Model, Repository, store_of
from repository.console import Console, Table
from repository.exit_status import FAILED, fail
from repository.manifest import CONFIG_FILE

out = Console()
errors = Console(stderr=True)


def card(
    every: Annotated[bool, typer.Option("--all", help="The table of all cards that are known.")] = False,
    configure: Annotated[
        bool, typer.Option("--configure", help="Write max_batch_size and instances into config.pbtxt as well.")
    ] = False,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Say with which settings to begin on the NVIDIA card of this machine, as lines for Compose's `.env`.

    They follow from what the card is, by arithmetic (repository/cards.py), and were not measured:
    `python -m benchmarks gpu` and `python -m benchmarks tune` find out. Exit status 1 where there is no card.
    """
    if every:
        out.table(_table())
        return
    found = found_card()
    if found is None:
        fail("no NVIDIA card here: nvidia-smi is missing, or tells of none.", FAILED)
    out.print(f"# {found.name}, {found.memory_gb:.0f} GB: {_origin(found)}, not measured.")
    for name, value in found.environment.items():
        out.print(f"{name}={value}")
    if configure:
        from repository.config import with_changes

        store_of(repository, model).change_config(lambda text: with_changes(text, found.config))
        errors.print(f"Changed {CONFIG_FILE}: {', '.join(f'{name} {value}' for name, value in found.config.items())}.")
    else:
        given = " ".join((f"--max-batch-size {found.batch_sentences}", f"--instances {found.instances}"))
        errors.print(f"{CONFIG_FILE} has to allow as much: `python -m repository configure {given}`, or --configure.")


def _origin(found: Card) -> str:
    return "a place to begin, by arithmetic" if found.multiprocessors else "not in the table, so a guess"


def _table() -> Table:
    table = Table("card", "memory", "BATCH_TOKENS", "BATCH_SENTENCES, max_batch_size", "instances")
    for each in CARDS:
        figures = (each.batch_tokens, each.batch_sentences, each.instances)
        table.add_row(each.name, f"{each.memory_gb:.0f} GB", *map(str, figures))
    table.caption = "Places to begin, by arithmetic from data sheets (repository/cards.py); not measured."
    return table
