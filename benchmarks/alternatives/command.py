"""`python -m benchmarks alternatives`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.alternatives.environments import ENVIRONMENTS
from benchmarks.alternatives.registry import ALTERNATIVES, Alternative
from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import ServiceError
from benchmarks.options import PricePerHour, errors, numbers, show_failure
from launcher.settings import LauncherSettings
from repository.console import Console
from repository.exit_status import FAILED, fail
from repository.spelling import as_called
from repository.strict_json import strict_json
from training import SAMPLE_DATA

SENTENCES = 2048

out = Console()


def alternatives(
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this one; can be given several times (default: all).")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; rates are their medians.")] = 5,
    connections: Annotated[str, typer.Option(help="Numbers of connections, with commas.")] = "1,64",
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each load.")] = 4,
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint that all serve (default: CHECKPOINT, as of `make up`).")
    ] = None,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    environments: Annotated[Path, typer.Option(help="Folder of the alternatives' packages.")] = ENVIRONMENTS,
    output: Annotated[Path | None, typer.Option(help="Write the raw figures to this JSON file, too.")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the alternatives and their settings.")] = False,
    price_per_hour: PricePerHour = None,
) -> None:
    """Other servers over the same checkpoint, each beside this one: answers first, then a closed loop.

    Each is installed from its lock into an environment of its own the first time, some 4 GB in all with a CPU build of
    torch, started on 127.0.0.1, stopped again. Its answers must be those of the transformers pipeline, else it is not
    timed. What does not install, start or answer right is a row that says why. About two minutes for each.
    """
    from benchmarks.alternatives.measure import measure_alternatives
    from benchmarks.alternatives.outcome import Loads
    from benchmarks.alternatives.table import alternatives_table

    chosen = _chosen(only)
    if list_only:
        for each in chosen:
            out.print(f"{each.name}: {each.title}; {each.settings}")
        return
    loads = Loads(tuple(numbers(connections)), seconds, rounds)
    folder = checkpoint or LauncherSettings().checkpoint
    if not (folder / "config.json").is_file():
        advice = as_called("run `make train`, or name one by --checkpoint.")
        fail(f"{folder} holds no checkpoint: {advice}")
    errors.print(f"About {len(chosen) * loads.seconds_each / 60:.0f} minutes, and as long as installing takes.")
    try:
        texts = load_sentences(data, SENTENCES)
        outcomes = measure_alternatives(chosen, folder, texts, loads, environments, create=True, report=errors.print)
    except (BenchmarkError, ServiceError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(alternatives_table(outcomes, price_per_hour).to_rich())
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(strict_json([outcome.as_dict() for outcome in outcomes], indent=2) + "\n")


def _chosen(names: list[str] | None) -> list[Alternative]:
    known = {alternative.name: alternative for alternative in ALTERNATIVES}
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}")
    return [alternative for alternative in ALTERNATIVES if not names or alternative.name in names]
