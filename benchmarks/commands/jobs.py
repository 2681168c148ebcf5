"""`python -m benchmarks jobs`: does a job cost anybody else an answer's time, and how fast is it alone?"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.jobs import JobError, Jobs, Plan, measure_jobs
from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import ServiceError
from benchmarks.options import errors, published, show_failure
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from repository.console import Console
from repository.exit_status import FAILED
from training import SAMPLE_DATA

MOST_RATIO = 1.2
"""Of the p99 of other requests with a job over that without."""

out = Console()


def jobs(
    pairs: Annotated[int, typer.Option(min=1, help="Of each measurement, with and without, in either order.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Of each half of a pair beside other requests.")] = 20,
    load: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1,
            help="Of the other requests: a share of what 64 connections get. Less leaves a job more.",
        ),
    ] = 0.25,
    rows: Annotated[int, typer.Option(min=1, help="Of a job that nobody disturbs.")] = 20_000,
    sentences: Annotated[int, typer.Option(min=1, help="Different sentences that are asked.")] = 1024,
    data: Annotated[Path, typer.Option(help="Where they are from.")] = SAMPLE_DATA,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results"),
) -> None:
    """Measure answers with a job beside them and without, and a job alone against the command for files.

    Exit status 1: p99 with a job is more than 1.2 times that without.
    """
    store, _ = published()
    folder = ResultFolder.create(results, this_machine())
    try:
        with tempfile.TemporaryDirectory(prefix="jobs-") as temporary:
            found = measure_jobs(
                (store.folder.parent, store.model_name),
                load_sentences(data, sentences),
                Path(temporary),
                Plan(pairs, seconds, rows, load),
                errors.print,
            )
    except (ServiceError, JobError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    raw = {**vars(found), "p99_ratio": found.p99_ratio, "alone_ratio": found.alone_ratio}
    folder.add("jobs", raw, jobs_table(found))
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))
    if found.p99_ratio > MOST_RATIO:
        errors.print(f"p99 with a job is {found.p99_ratio:.2f} times that without, {MOST_RATIO} is allowed")
        raise typer.Exit(FAILED)


def jobs_table(found: Jobs) -> ResultTable:
    """What was measured, a row each, pair by pair."""
    rows = [
        ["p50 of other requests, ms", _listed(found.without_p50_ms, 1), _listed(found.with_p50_ms, 1)],
        ["p99 of other requests, ms", _listed(found.without_p99_ms, 1), _listed(found.with_p99_ms, 1)],
        ["rows a second of the job beside it", "", _listed(found.beside_rows_per_s)],
        ["rows a second while nobody asks", _listed(found.file_rows_per_s), _listed(found.alone_rows_per_s)],
    ]
    note = (
        f"{found.rate:.0f} other requests a second. In pairs, p99 with a job is {found.p99_ratio:.2f} times that "
        f"without in the median; alone, a job is {found.alone_ratio:.2f} times as fast as `python -m gateway.batch`, "
        "whose figure stands in the last row without a job."
    )
    return ResultTable("Jobs beside other requests", ("", "without a job", "with a job"), rows, note)


def _listed(values: list[float], digits: int = 0) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)
