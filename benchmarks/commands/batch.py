"""Scoring a file beside ONNX Runtime alone: paired rounds over the same sentences, reading and writing included."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.gateway import BenchmarkError, Comparison, InProcessLimit, Report
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import ServiceError, running_triton
from benchmarks.options import PricePerHour, errors, published, show_failure
from benchmarks.report.render import comparison_table
from gateway.batch.answers import AnswerNames
from gateway.batch.errors import BatchError
from gateway.batch.formats import Format
from gateway.batch.job import Job
from gateway.batch.journal import Workplace, skipped_file
from gateway.batch.run import Run
from gateway.batch.scoring import LEAST_BATCH_TOKENS
from gateway.batch.tables import DelimitedWriter
from gateway.settings import GatewaySettings
from repository.console import Console
from repository.exit_status import FAILED
from repository.store import ModelStore
from training import SAMPLE_DATA

out = Console()


def batch(
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=512, help="Rows of the file.")] = 4096,
    calls: Annotated[int, typer.Option(min=1, help="Calls to Triton under way at once.")] = 3,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a call.")] = LEAST_BATCH_TOKENS,
    price_per_hour: PricePerHour = None,
) -> None:
    """`python -m gateway.batch` over a CSV file beside ONNX Runtime alone, at its best batch size and use of the cores.

    Starts a Triton of its own over the published model (MODEL_REPOSITORY, MODEL_NAME). Both sides tokenize, and start
    with everything loaded; the file is read, written and synced within the time. Every other round begins with the
    other side, so that what gets slower or faster by the minute disturbs both alike.
    """
    store, number = published()
    texts = load_sentences(data, sentences)
    try:
        compared = compare_batch(store, number, texts, rounds, calls, tokens, errors.print)
    except (BenchmarkError, BatchError, ServiceError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(comparison_table([compared], price_per_hour).to_rich())


def compare_batch(
    store: ModelStore, number: int, texts: Sequence[str], rounds: int, calls: int, tokens: int, report: Report
) -> Comparison:
    """Measure both sides in pairs.

    Raises:
        BatchError: a file could not be scored.
        ServiceError: Triton did not start.
    """
    limit = InProcessLimit.find(store.folder / str(number), texts[:1024], report)
    compared = Comparison("a file scored, CSV to CSV", "/s", "at least 0.95")
    with (
        tempfile.TemporaryDirectory(prefix="batch-") as folder,
        running_triton(store.folder.parent, store.model_name) as addresses,
    ):
        source = Path(folder) / "in.csv"
        writer = DelimitedWriter(Format.CSV, ["text"], [], "|")
        source.write_bytes(writer.head() + writer.body([{"text": text} for text in texts], [[]] * len(texts)))
        host, _, port = addresses["http"].rpartition(":")
        settings = GatewaySettings(
            model_repository=store.folder.parent,
            model_name=store.model_name,
            triton_host=host,
            triton_http_port=int(port),
            triton_calls=calls,
            batch_tokens=tokens,
        )
        _rows_per_second(source, settings, number, len(texts))
        for round_number in range(rounds):
            if round_number % 2:
                rate = limit.per_second(texts)
                ours = _rows_per_second(source, settings, number, len(texts))
            else:
                ours = _rows_per_second(source, settings, number, len(texts))
                rate = limit.per_second(texts)
            compared.pairs.append((ours, rate))
            report(f"round {round_number + 1} of {rounds}: {ours:.0f}/s beside {rate:.0f}/s, {ours / rate:.3f}")
    compared.beside = f"ONNX Runtime, {limit.best_way}"
    return compared


def _rows_per_second(source: Path, settings: GatewaySettings, number: int, rows: int) -> float:
    output = source.with_name("out.csv")
    job = Job(
        source,
        output,
        Format.CSV,
        Format.CSV,
        text=("text",),
        text_pair=(),
        names=AnswerNames(),
        separator="|",
        version=number,
        skip_broken=False,
        skipped=skipped_file(output),
        patience_s=60,
    )
    with Workplace(output, job.skipped) as place:
        run = Run(job, settings, place, lambda _: None)
        run.score(None, lambda _: None)
    assert run.state is not None
    if run.state.counts.rows != rows:
        raise BenchmarkError(f"{run.state.counts.rows} of {rows} rows were scored")
    return rows / run.seconds
