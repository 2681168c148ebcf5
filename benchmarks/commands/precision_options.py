"""Options of `python -m benchmarks precision`: which versions, on which data, for how long."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.options import PricePerHour
from repository.manifest import Precision
from training import SAMPLE_DATA


@dataclass(frozen=True, kw_only=True)
class PrecisionOptions:
    """All of them, in the order of --help."""

    version: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|FOLDER|NAME=…",
            help="A version: its number in MODEL_REPOSITORY, or a folder that `python -m export` wrote; with NAME= "
            "before it, under that name. Can be given several times.",
        ),
    ] = None
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH",
            help="A checkpoint, which is exported in each of --precisions. Can be given several times.",
        ),
    ] = None
    precisions: Annotated[str, typer.Option(help="For --checkpoint, with commas.")] = "fp32,int8"
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint whose answers in PyTorch the others are held against (default: the first --checkpoint, "
            "else CHECKPOINT)."
        ),
    ] = None
    data: Annotated[
        Path, typer.Option(help="Table as for training. Its texts that nothing in the table was trained on are asked.")
    ] = SAMPLE_DATA
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5
    sentences: Annotated[int, typer.Option(min=64, help="Sentences of a round in batches of 32.")] = 512
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each of the two loads of a round.")] = 4
    connections: Annotated[int, typer.Option(min=2, help="Callers at a time.")] = 64
    served: Annotated[
        bool, typer.Option(help="Serve each version: without it there is no quality and no latency, only batches.")
    ] = True
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results")
    price_per_hour: PricePerHour = None

    def chosen_precisions(self) -> list[Precision]:
        """In the order given. Raises BadParameter: one of them is none."""
        try:
            return [Precision(name.strip()) for name in self.precisions.split(",")]
        except ValueError:
            known = ", ".join(precision.value for precision in Precision)
            raise typer.BadParameter(f"{self.precisions!r} is no list of {known}") from None
