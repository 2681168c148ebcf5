"""`python -m benchmarks`: how fast the service is, as shares of what the same machine can do at best, in one run."""

import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import BenchmarkError, Comparison, compare_costless, compare_gateway
from benchmarks.precision import Variant, compare_precisions
from benchmarks.sentences import load_sentences
from benchmarks.service import ServiceError
from export import ExportError
from repository.manifest import Precision
from repository.settings import RepositorySettings
from repository.store import ModelStore
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
    store = ModelStore.from_settings(RepositorySettings())
    numbers = store.numbers()
    if not numbers:
        errors.print(f"[red]Error:[/red] {store.folder} holds no version: run `make up` or publish one first.")
        raise typer.Exit(2)
    texts = load_sentences(data, sentences)
    try:
        found = compare_gateway(store, numbers[-1], texts, rounds, errors.print)
        found += compare_costless(store, numbers[-1], texts, rounds, errors.print)
    except (BenchmarkError, ServiceError) as error:
        errors.print(f"[red]Error:[/red] {error}")
        raise typer.Exit(1) from None
    out.print(_table(found))


@app.command()
def export(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a fine-tuned sequence classifier, or its hub id.")],
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=64, help="Sentences asked in a round.")] = 256,
) -> None:
    """Each precision beside what `torch.onnx.export` gives without any optimization.

    ONNX Runtime alone in this process, tokenization not counted: latency of one sentence, throughput in batches of 32
    neighbours in length. ONNX Runtime optimizes every graph when it loads it, the plain one too.
    """
    texts = load_sentences(data, sentences)
    try:
        with tempfile.TemporaryDirectory(prefix="precisions-") as folder:
            found = compare_precisions(checkpoint, texts, rounds, Path(folder), errors.print)
    except ExportError as error:
        errors.print(f"[red]Error:[/red] {error}")
        raise typer.Exit(1) from None
    if any(variant.per_second for variant in found):
        out.print(_precision_table(found))
    for variant in found:
        if variant.note:
            out.print(f"{variant.name}: {variant.note}", markup=False)


def _precision_table(variants: list[Variant]) -> Table:
    table = Table("", "batch 1", "× plain", "batch 32", "× plain", "size")
    plain = variants[0]
    for variant in variants:
        if variant.note:
            table.add_row(variant.name, "not measured")
            continue
        latency, throughput = f"{median(variant.latencies_ms):.2f} ms", f"{median(variant.per_second):.0f}/s"
        ratios = ["", ""]
        if variant is not plain and not plain.note:
            ratios = [f"{median(found):.2f} ({found[0]:.2f}…{found[-1]:.2f})" for found in variant.speedups(plain)]
        size = f"{variant.size_bytes / 1e6:.1f} MB"
        table.add_row(variant.name, latency, ratios[0], throughput, ratios[1], size)
    return table


@app.command()
def memory(
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint to export [default: XLM-RoBERTa base, random weights, 1.1 GB].")
    ] = None,
    precision: Annotated[Precision | None, typer.Option(help="Measure this one alone [default: all].")] = None,
) -> None:
    """The most memory an export takes, in each precision, beside the size of the checkpoint.

    Needs some 8 GB of disk under TMPDIR and a few minutes.
    """
    from benchmarks.memory import measure_exports, write_large_checkpoint

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = checkpoint or write_large_checkpoint(folder / "checkpoint")
        for peak in measure_exports(source, folder, [precision] if precision else list(Precision)):
            out.print(
                f"{peak.precision.value}: {peak.peak_bytes / 1e9:.2f} GB for a checkpoint of "
                f"{peak.checkpoint_bytes / 1e9:.2f} GB, {peak.ratio:.2f} times (target: at most 2.5)"
            )
            if peak.status:
                errors.print((folder / f"{peak.precision.value}.log").read_text())
                raise typer.Exit(1)


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
