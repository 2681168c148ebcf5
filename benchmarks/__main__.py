"""`python -m benchmarks`: how fast the service is, as shares of what the same machine can do at best, in one run."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.alternatives.command import alternatives
from benchmarks.commands import offline
from benchmarks.commands.batch import batch
from benchmarks.commands.gpu import gpu
from benchmarks.commands.jobs import jobs
from benchmarks.commands.precision import precision
from benchmarks.commands.rpc import rpc
from benchmarks.commands.soak import soak
from benchmarks.commands.trials import trials
from benchmarks.commands.tune import tune
from benchmarks.measure.gateway import BenchmarkError, compare_costless, compare_gateway
from benchmarks.measure.limit import measure_limit
from benchmarks.measure.load_sweep import sweep_load
from benchmarks.measure.machine import this_machine
from benchmarks.measure.perf_analyzer import PerfAnalyzerError, find_perf_analyzer
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import ServiceError, running_service, running_triton
from benchmarks.measure.triton_sweep import Sweep, run_sweep
from benchmarks.options import PricePerHour, errors, numbers, published, show_failure
from benchmarks.report import guard
from benchmarks.report.readme import ReadmeError, newest_result, write_readme
from benchmarks.report.render import comparison_table, limit_table, load_table, sweep_table, verdict_table
from benchmarks.report.results import ResultFolder
from export import ExportError
from repository.console import Console
from repository.exit_status import FAILED, USER_MISTAKE
from repository.shipped import README
from repository.strict_json import strict_json
from server.install import InstallError, ensure_installed
from server.settings import ServerSettings
from training import SAMPLE_DATA

RESULTS = Path("benchmarks/results")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
out = Console()


app.command()(offline.export)
app.command()(precision)
app.command()(gpu)
app.command()(offline.memory)
app.command()(tune)
app.command()(soak)
app.command()(trials)
app.command()(jobs)
app.command()(alternatives)
app.command()(batch)
app.command("grpc")(rpc)


@app.callback()
def benchmarks() -> None:
    """Measure the service on this machine."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as for Ctrl-C: every server that runs is stopped


@app.command()
def gateway(
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=512, help="Sentences asked in a round.")] = 2048,
    price_per_hour: PricePerHour = None,
) -> None:
    """The gateway beside ONNX Runtime alone, and beside a bare FastAPI route.

    Starts Triton and gateways of its own over the published model (MODEL_REPOSITORY, MODEL_NAME), on free ports. Each
    round measures both sides, one right after the other, so that a busy machine disturbs both alike. About three
    minutes for five rounds on two cores.
    """
    store, number = published()
    texts = load_sentences(data, sentences)
    try:
        found = compare_gateway(store, number, texts, rounds, errors.print)
        found += compare_costless(store, number, texts, rounds, errors.print)
    except (BenchmarkError, ServiceError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(comparison_table(found, price_per_hour).to_rich())


@app.command(name="all")
def everything(
    quick: Annotated[bool, typer.Option("--quick", help="Less of each: under five minutes on two cores.")] = False,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = RESULTS,
    checkpoint: Annotated[
        Path,
        typer.Option(envvar="CHECKPOINT", help="What precisions and alternatives are made from."),
    ] = Path("checkpoints/classifier"),
    price_per_hour: PricePerHour = None,
) -> None:
    """Everything, one after the other; leaves raw JSON, a Markdown report, plots and one HTML page.

    Installs the alternatives the first time, some 4 GB in .alternatives; --quick installs nothing and measures the
    first of them alone, where it is there. Ctrl-C keeps what was measured so far.
    """
    from benchmarks.commands.everything import FULL, QUICK, run_everything

    store, number = published()
    extent = QUICK if quick else FULL
    machine = this_machine()
    folder = ResultFolder.create(results, machine)
    errors.print(machine.line)
    errors.print(f"About {extent.minutes:g} minutes; results go to {folder.folder}.")
    try:
        run_everything(store, number, checkpoint, data, folder, extent, errors.print, price_per_hour)
    except (BenchmarkError, ExportError, ServiceError, PerfAnalyzerError, InstallError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of an earlier result.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Folder of a later one.")],
    more_before: Annotated[list[Path] | None, typer.Option("--also-a", help="One more run of A's code.")] = None,
    more_after: Annotated[list[Path] | None, typer.Option("--also-b", help="One more run of B's code.")] = None,
) -> None:
    """Tell whether B is slower than A beyond noise; exit status 1 if it is.

    Takes results of at least five rounds, which a quick run has not. One run of each can be off as a whole, so that
    some 8 % have to lie between them; more runs of the same code on each side (--also-a, --also-b) show less.
    """
    try:
        verdicts = guard.compare([before, *(more_before or [])], [after, *(more_after or [])])
    except guard.GuardError as error:
        errors.error(error)
        raise typer.Exit(USER_MISTAKE) from None
    out.table(verdict_table(verdicts).to_rich())
    if any(verdict.worse for verdict in verdicts):
        raise typer.Exit(FAILED)


@app.command()
def readme(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of a result (default: the newest in benchmarks/results).")
    ] = None,
) -> None:
    """Write a result's tables and plot into README.md."""
    try:
        source = folder or newest_result(RESULTS)
        write_readme(README, source)
    except ReadmeError as error:
        errors.error(error)
        raise typer.Exit(USER_MISTAKE) from None
    errors.print(f"README.md shows {source}.")


@app.command()
def load(
    seconds: Annotated[float, typer.Option(min=1, help="Length of each load.")] = 5,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    plot: Annotated[Path | None, typer.Option(help="Write the plot to this PNG file.")] = None,
    price_per_hour: PricePerHour = None,
) -> None:
    """The gateway's latency against the load, up to saturation and past it.

    First a closed loop over more and more connections, each of which waits for its answer. Then an open loop at fixed
    rates, as callers behave who know nothing of each other: a latency counts from the moment the request was due.
    """
    store, _ = published()
    texts = load_sentences(data, 4096)
    points = []
    try:
        with running_service(store.folder.parent, store.model_name) as service:
            for point in sweep_load(service.url, texts, seconds, errors.print):
                points.append(point)
    except ServiceError as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(load_table(points, price_per_hour).to_rich())
    if plot is not None:
        from benchmarks.report.plots import plot_load

        plot_load(points, plot)


@app.command()
def limit(
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    sentences: Annotated[int, typer.Option(min=128, help="Sentences of a round.")] = 1024,
    price_per_hour: PricePerHour = None,
) -> None:
    """ONNX Runtime alone at each batch size, on all cores and on one, beside the processor's peak."""
    store, number = published()
    found = measure_limit(store.folder / str(number), load_sentences(data, sentences))
    out.table(limit_table(found, price_per_hour).to_rich())


@app.command()
def triton(
    protocols: Annotated[str, typer.Option(help="`http`, `grpc`, or both with a comma.")] = "http,grpc",
    concurrency: Annotated[str, typer.Option(help="Requests at a time, sentences as long as they are.")] = "1,2,4,8,16",
    batch_sizes: Annotated[str, typer.Option(help="Sentences in a request, at the first of the lengths.")] = "1,4,16",
    lengths: Annotated[str, typer.Option(help="Tokens of a sentence, at the last of the batch sizes.")] = "16,64,128",
    window_ms: Annotated[int, typer.Option(min=200, help="Length of one of the three windows of a load.")] = 2000,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    sentences: Annotated[int, typer.Option(min=16, help="Sentences that are asked in turn.")] = 512,
    output: Annotated[Path | None, typer.Option(help="Write the raw figures to this JSON file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter loads: half a minute.")] = False,
    price_per_hour: PricePerHour = None,
) -> None:
    """Triton by itself, under NVIDIA's perf_analyzer.

    Starts a Triton of its own over the published model (MODEL_REPOSITORY, MODEL_NAME) on free ports. The inputs are
    real sentences, tokenized by the model's own tokenizer. perf_analyzer is the one on PATH, else it is fetched from
    PyPI into .perf_analyzer the first time. Each of the lists is varied by itself: concurrency with single sentences
    of their own lengths; batch sizes at the first length and lengths at the last batch size, both at the middle
    concurrency. All times are milliseconds; those of the server are means, as Triton counts them.
    """
    store, number = published()
    sweep = Sweep(protocols.split(","), numbers(concurrency), numbers(batch_sizes), numbers(lengths), window_ms)
    if quick:
        sweep = Sweep(("http",), (1, 4, 16), (16,), (16,), 500)
    try:
        analyzer = find_perf_analyzer(Path(".perf_analyzer"), ensure_installed(ServerSettings(), errors.print))
        errors.print(f"About {sweep.seconds:.0f} seconds.")
        with (
            running_triton(store.folder.parent, store.model_name) as addresses,
            errors.progress("perf_analyzer", len(sweep.loads()), remaining=True) as advance,
        ):
            points = run_sweep(
                analyzer,
                sweep,
                store.folder / str(number),
                store.model_name,
                addresses,
                load_sentences(data, sentences),
                lambda done: advance(1, done),
            )
    except (PerfAnalyzerError, InstallError, ServiceError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(sweep_table(points, price=price_per_hour).to_rich())
    for point in points:
        if point.problem:
            errors.print(f"{point.load}: {point.problem}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(strict_json([point.as_dict() for point in points], indent=2) + "\n")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
