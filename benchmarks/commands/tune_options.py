"""Options of `python -m benchmarks tune`: what is tried, and what a setting has to keep to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.tuning import START_S, Grid, Setting
from benchmarks.options import PricePerHour, numbers
from training import SAMPLE_DATA


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """All of them, in the order of --help."""

    p99_ms: Annotated[float, typer.Option(min=1, help="Latency budget: the 99th percentile, in ms.")] = 400
    connections: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 64
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a trial.")] = 4
    confirm: Annotated[int, typer.Option(min=0, help="Rounds of the best beside what is in force now.")] = 3
    instances: Annotated[str, typer.Option(help="Copies of the model in Triton to try, with commas.")] = "1,2"
    threads: Annotated[str, typer.Option(help="Threads of an execution to try; 0: the backend's choice.")] = "0,1"
    max_batch_sizes: Annotated[str, typer.Option(help="Most sentences of an execution to try.")] = "64"
    queue_delays_us: Annotated[str, typer.Option(help="Triton's queue delays to try, in microseconds.")] = "0"
    triton_calls: Annotated[str, typer.Option(help="TRITON_CALLS of the gateway to try.")] = "2,3,4"
    batch_tokens: Annotated[str, typer.Option(help="BATCH_TOKENS of the gateway to try.")] = "128,256,512"
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results")
    price_per_hour: PricePerHour = None

    def settings(self) -> list[Setting]:
        """Every value with every other. Raises BadParameter: what was given is no list of numbers."""
        given = (
            self.instances,
            self.threads,
            self.max_batch_sizes,
            self.queue_delays_us,
            self.triton_calls,
            self.batch_tokens,
        )
        return Grid(*(numbers(text, least=0) for text in given)).settings()

    def minutes(self, settings: int) -> float:
        """How long so many settings take, and the rounds of the best one."""
        return (settings + 2 * self.confirm) * (self.seconds + START_S) / 60
