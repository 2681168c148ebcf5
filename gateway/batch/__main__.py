"""`python -m gateway.batch IN OUT`: scores a file of texts."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from gateway.batch.errors import BatchError, UsageError
from gateway.batch.formats import STREAM
from gateway.batch.job import Job
from gateway.batch.journal import State, Workplace, partial_folder
from gateway.batch.options import ScoreOptions
from gateway.batch.run import Interrupted, Run
from gateway.batch.stream import OutputStream
from gateway.batch.telling import learn, shown_progress, summary
from gateway.memory import limit_arenas
from gateway.settings import GatewaySettings
from repository.console import Console
from repository.exit_status import INTERRUPTED, fail
from repository.option_class import takes_option_class
from repository.settings import setting_mistakes

cli = typer.Typer(pretty_exceptions_enable=False)
console = Console(stderr=True)


@cli.command()
@takes_option_class
def score(given: ScoreOptions) -> None:
    """Score the texts of a file through the Triton that runs: IN's columns are kept, label, score and version added.

    The same answers as from /classify, by the same version from the first row to the last. Rows keep their order, and
    none is dropped: one without a text, or in which the model knows no sign, has an empty answer. What is longer than
    the model reads is cut, or read in windows with --long-text windows, and counted. Files ending in .gz are packed.

    OUT appears when it is whole. Until then all is in the folder OUT.partial: after Ctrl-C, a kill, a crash or a full
    disk the same command goes on where it was, and no row is lost or there twice. (What comes from stdin or goes to
    stdout can't be gone on with.) Memory does not grow with the file.

    Triton and the repository are those of the gateway: TRITON_HOST, TRITON_HTTP_PORT, MODEL_REPOSITORY, MODEL_NAME;
    so are BATCH_TOKENS, BATCH_SENTENCES, TRITON_CALLS, THRESHOLD and LONG_TEXT. Exit status: 0 done, 1 stopped by a
    fault, 2 a wrong option or file, 130 interrupted.

    For example: python -m gateway.batch reviews.csv scored.parquet --text title --text body --all-labels
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limit_arenas()
    try:
        settings = _settings()
        job = given.job(settings)
        if job.output == STREAM:
            _score_stream(job, settings)
        else:
            _score_file(job, settings, given.restart, given.version)
    except BatchError as error:
        fail(error, error.status)
    except KeyboardInterrupt:
        console.print("Stopped before anything was scored.")
        raise typer.Exit(INTERRUPTED) from None


def _settings() -> GatewaySettings:
    try:
        return GatewaySettings()
    except ValidationError as error:
        raise UsageError(setting_mistakes(error)[0]) from None


def _score_stream(job: Job, settings: GatewaySettings) -> None:
    run = Run(job, settings, OutputStream(job.skipped if job.skip_broken else None), lambda _: None)
    _run(run, job, None)
    for line in summary(run, job):
        console.print(line)


def _score_file(job: Job, settings: GatewaySettings, restart: bool, version: int | None) -> None:
    if job.source != STREAM and job.output.exists() and job.source.exists() and job.output.samefile(job.source):
        raise UsageError(f"{job.output} is the input; name another file to write.")
    there = job.output.exists() and not partial_folder(job.output).exists()
    if there and not restart:
        raise UsageError(f"{job.output} is there already; --restart scores again and replaces it.")
    with Workplace(job.output, job.skipped) as place:
        before = None if restart or not job.resumes else place.read()
        if before is not None and version not in (None, before.run["version"]["number"]):
            raise UsageError(
                f"{job.output} was begun with version {before.run['version']['number']}; --restart begins anew."
            )
        with shown_progress(console) as report:
            run = Run(job, settings, place, report)
            _run(run, job, before, place)
        for line in summary(run, job):
            console.print(line)


def _run(run: Run, job: Job, before: State | None, place: Workplace | None = None) -> None:
    """Score, and say at the end what became of it."""
    if before is not None:
        console.print(f"Going on with {job.output} after {before.counts.rows + before.counts.skipped:,} rows.")
    try:
        run.score(before, lambda reader: learn(console, reader, job))
    except (Interrupted, KeyboardInterrupt):
        console.print(f"Interrupted{_how_to_go_on(job, place)}")
        raise typer.Exit(INTERRUPTED) from None
    except BatchError as error:
        if isinstance(error, UsageError) and (place is None or place.state is None):
            raise
        kept = _how_to_go_on(job, place) if place and place.state else ""
        raise type(error)(f"{str(error).rstrip('.')}{kept}" if kept else str(error)) from None


def _how_to_go_on(job: Job, place: Workplace | None) -> str:
    if place is None or not job.resumes:
        return ": what comes from stdin or goes to stdout can't be gone on with."
    if place.state is None:
        return ": nothing was scored yet."
    counts = place.state.counts
    return f": {counts.rows + counts.skipped:,} rows are kept; the same command goes on from there."


@contextmanager
def running() -> Iterator[None]:
    """What holds while the command runs: at its end, whatever the reader's thread is at ends with it.

    It may wait for standard input, or be in the tokenizer: Python's own end would cut it off there, which aborts.
    """
    status: str | int | None = 0
    try:
        yield
    except SystemExit as end:
        status = end.code
    except typer.Exit as end:
        status = end.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def main() -> None:
    """Run the command line."""
    with running():
        cli(prog_name="python -m gateway.batch")


if __name__ == "__main__":
    main()
