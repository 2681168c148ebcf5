"""`python -m benchmarks`: how fast the service is, as shares of what the same machine can do at best, in one run."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.gateway import BenchmarkError, Comparison, compare_costless, compare_gateway
from benchmarks.perf_analyzer import PerfAnalyzerError, find_perf_analyzer
from benchmarks.sentences import load_sentences
from benchmarks.service import ServiceError, running_triton
from benchmarks.triton_sweep import Point, Sweep, run_sweep
from repository.settings import RepositorySettings
from repository.store import ModelStore
from server.install import InstallError, ensure_installed
from server.settings import ServerSettings
from training import SAMPLE_DATA

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
out = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@app.callback()
def benchmarks() -> None:
    """Measure the service on this machine."""


@app.command()
def gateway(
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=512, help="Sentences asked in a round.")] = 2048,
) -> None:
    """The gateway beside ONNX Runtime alone, and beside a bare FastAPI route.

    Starts Triton and gateways of its own over the published model (MODEL_REPOSITORY, MODEL_NAME), on free ports. Each
    round measures both sides, one right after the other, so that a busy machine disturbs both alike. About three
    minutes for five rounds on two cores.
    """
    store, number = _published()
    texts = load_sentences(data, sentences)
    try:
        found = compare_gateway(store, number, texts, rounds, errors.print)
        found += compare_costless(store, number, texts, rounds, errors.print)
    except (BenchmarkError, ServiceError) as error:
        errors.print(f"[red]Error:[/red] {error}")
        raise typer.Exit(1) from None
    out.print(_table(found))


@app.command()
def triton(
    protocols: Annotated[str, typer.Option(help="`http`, `grpc`, or both with a comma.")] = "http,grpc",
    concurrency: Annotated[
        str, typer.Option(help="Requests at a time, each sentence at its own length.")
    ] = "1,2,4,8,16",
    batch_sizes: Annotated[str, typer.Option(help="Sentences in a request, at the first of the lengths.")] = "1,4,16",
    lengths: Annotated[str, typer.Option(help="Tokens of a sentence, at the last of the batch sizes.")] = "16,64,128",
    window_ms: Annotated[int, typer.Option(min=200, help="Length of one of the three windows of a load.")] = 2000,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    sentences: Annotated[int, typer.Option(min=16, help="Sentences that are asked in turn.")] = 512,
    output: Annotated[Path | None, typer.Option(help="Write the raw figures to this JSON file, too.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One protocol, fewer and shorter loads: half a minute.")
    ] = False,
) -> None:
    """Triton by itself, under NVIDIA's perf_analyzer.

    Starts a Triton of its own over the published model (MODEL_REPOSITORY, MODEL_NAME) on free ports. The inputs are
    real sentences, tokenized by the model's own tokenizer. perf_analyzer is the one on PATH, else it is fetched from
    PyPI into .perf_analyzer the first time. Each of the lists is varied by itself: concurrency with single sentences
    of their own lengths; batch sizes at the first length and lengths at the last batch size, both at the middle
    concurrency. All times are milliseconds; those of the server are means, as Triton counts them.
    """
    store, number = _published()
    sweep = Sweep(protocols.split(","), _numbers(concurrency), _numbers(batch_sizes), _numbers(lengths), window_ms)
    if quick:
        sweep = Sweep(("http",), (1, 4, 16), (16,), (16,), 500)
    try:
        settings = ServerSettings()
        analyzer = find_perf_analyzer(Path(".perf_analyzer"), ensure_installed(settings, errors.print))
        with running_triton(store.folder.parent, store.model_name) as addresses, _progress(sweep.seconds) as progress:
            task = progress.add_task("perf_analyzer", total=len(sweep.loads()))
            points = run_sweep(
                analyzer,
                sweep,
                store.folder / str(number),
                store.model_name,
                addresses,
                load_sentences(data, sentences),
                lambda done: progress.update(task, advance=1, description=done),
            )
    except (PerfAnalyzerError, InstallError, ServiceError) as error:
        errors.print(f"[red]Error:[/red] {error}")
        raise typer.Exit(1) from None
    out.print(_sweep_table(points))
    for point in points:
        if point.problem:
            errors.print(f"{point.load}: {point.problem}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps([point.as_dict() for point in points], indent=2) + "\n")


def _published() -> tuple[ModelStore, int]:
    """The model that the settings name, and its newest version."""
    store = ModelStore.from_settings(RepositorySettings())
    numbers = store.numbers()
    if not numbers:
        errors.print(f"[red]Error:[/red] {store.folder} holds no version: run `make up` or publish one first.")
        raise typer.Exit(2)
    return store, numbers[-1]


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers with commas") from None
    if min(numbers) < 1:
        raise typer.BadParameter("numbers must be at least 1")
    return numbers


def _progress(seconds: float) -> Progress:
    errors.print(f"About {seconds:.0f} seconds.")
    return Progress(TextColumn("{task.description:<14}"), BarColumn(), TimeRemainingColumn(), console=errors)


def _sweep_table(points: list[Point]) -> Table:
    columns = ("", "at a time", "batch", "tokens", "sentences/s", "p50", "p90", "p99", "queue", "compute")
    table = Table(*columns, title="Triton under perf_analyzer, times in ms")
    for point in points:
        load, found = point.load, point.measured
        row = [load.protocol, str(load.concurrency), str(load.batch_size), str(load.length or "own")]
        if found is None:
            table.add_row(*row, "failed")
            continue
        times = (found.p50_ms, found.p90_ms, found.p99_ms, found.queue_ms, found.compute_infer_ms)
        table.add_row(*row, f"{found.sentences_per_second:.0f}", *(f"{value:.1f}" for value in times))
    return table


def _table(comparisons: list[Comparison]) -> Table:
    table = Table("", "gateway", "beside it", "median", "from … to", "target")
    for comparison in comparisons:
        figures = comparison.figures
        median = figures[len(figures) // 2]
        sign, unit = ("+", " ms") if comparison.difference else ("", "")
        decimals = 0 if comparison.unit == "/s" else 2
        table.add_row(
            comparison.name,
            f"{comparison.ours:.{decimals}f} {comparison.unit}",
            f"{comparison.limit:.{decimals}f} {comparison.unit}",
            f"{median:{sign}.2f}{unit}",
            f"{figures[0]:{sign}.2f} … {figures[-1]:{sign}.2f}",
            comparison.target,
        )
    return table


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
