"""Commands that measure exports, not the service: what each precision gains, and how much memory an export takes."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.sentences import load_sentences
from benchmarks.options import PricePerHour, errors
from benchmarks.report.render import precision_table
from export import ExportError
from repository.console import Console
from repository.exit_status import FAILED
from repository.manifest import Precision
from training import SAMPLE_DATA

out = Console()


def export(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a fine-tuned sequence classifier, or its hub id.")],
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=64, help="Sentences asked in a round.")] = 256,
    price_per_hour: PricePerHour = None,
) -> None:
    """Each precision beside what `torch.onnx.export` gives without any optimization: speed, size and accuracy.

    ONNX Runtime alone in this process, tokenization not counted: latency of one sentence, throughput in batches of 32
    neighbours in length. ONNX Runtime optimizes every graph when it loads it, the plain one too.
    """
    from benchmarks.measure.precision import compare_precisions

    texts = load_sentences(data, sentences)
    try:
        with tempfile.TemporaryDirectory(prefix="precisions-") as folder:
            found = compare_precisions(checkpoint, data, texts, rounds, Path(folder), errors.print)
    except ExportError as error:
        errors.error(error)
        raise typer.Exit(FAILED) from None
    out.table(precision_table(found, price_per_hour).to_rich())


def memory(
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint to export (default: XLM-RoBERTa base, random weights, 1.1 GB).")
    ] = None,
    precision: Annotated[Precision | None, typer.Option(help="Measure this one alone (default: all).")] = None,
) -> None:
    """The most memory an export takes, in each precision, beside the size of the checkpoint.

    Needs some 8 GB of disk under TMPDIR and a few minutes.
    """
    from benchmarks.measure.memory import measure_exports, write_large_checkpoint

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = checkpoint or write_large_checkpoint(folder / "checkpoint")
        for peak in measure_exports(source, folder, [precision] if precision else list(Precision)):
            out.print(
                f"{peak.precision.value}: {peak.peak_bytes / 1e9:.2f} GB for a checkpoint of "
                f"{peak.checkpoint_bytes / 1e9:.2f} GB, {peak.ratio:.2f} times (target: at most 2.5)"
            )
            if peak.status:
                errors.page((folder / f"{peak.precision.value}.log").read_text())
                raise typer.Exit(FAILED)
