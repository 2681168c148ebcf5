"""`text-classifier classify`: asks a gateway from a shell."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, USER_MISTAKE, fail
from repository.option_class import takes_option_class
from text_classifier.classify.errors import UsageError
from text_classifier.classify.options import API_KEY, ClassifyOptions
from text_classifier.classify.reading import STREAM, Row, kind_of, of_arguments, of_file

NOBODY_READS = 141
"""128 + SIGPIPE: what shells show of a program that ended because nobody read on."""

cli = typer.Typer(pretty_exceptions_enable=False)
console = Console(stderr=True)


@cli.command()
@takes_option_class
def classify(given: ClassifyOptions) -> None:
    """Ask a running gateway, here or elsewhere, for the labels of texts: of the arguments, of --file, or of stdin.

    Prints a line for each text, in order: label, score and the text, with a tab between them. Standard input is a text
    a line, and lines that come slowly are answered as they come; a blank line gets a line without a label. What the
    server refuses ends the run, or gets a line without a label by --on-error keep; a server that is away for a moment
    is asked again.

    A key goes into the environment, as TEXT_CLASSIFIER_API_KEY: other users see arguments. To score a large file on the
    machine that serves the model, `python -m gateway.batch` asks Triton without HTTP in between, and goes on after a
    crash. Exit status: 0 all texts answered, 1 not all, 2 a wrong option or file, 130 interrupted.

    For example: text-classifier classify --file reviews.csv --text title --csv > labelled.csv
    """
    try:
        status = _run(given)
    except UsageError as error:
        fail(error)
    except BrokenPipeError:
        raise typer.Exit(NOBODY_READS) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(status)


def _run(given: ClassifyOptions) -> int:
    from text_classifier.classify.run import RowError
    from text_classifier_client import ClassifierError

    if bool(given.texts) == (given.file is not None) and (given.texts or sys.stdin.isatty()):
        raise UsageError("give a text, or --file, or pipe texts in: text-classifier classify 'a text'")
    try:
        return _asked(given)
    except (RowError, ClassifierError) as error:
        fail(error, FAILED)
    except ValueError as error:  # of the client's settings
        fail(error, USER_MISTAKE)


def _asked(given: ClassifyOptions) -> int:
    from text_classifier.classify.run import classify_rows
    from text_classifier.classify.writing import Output
    from text_classifier_client import AsyncClient

    output = Output(given.printer(on_terminal=sys.stdout.isatty()))

    async def ask(rows: Iterator[Row], emit: Any) -> int:
        async with AsyncClient(given.url, api_key=os.environ.get(API_KEY) or None, **given.settings()) as client:
            keeps = given.on_error == "keep"
            counts = await classify_rows(client, rows, given.asked(), given.deadline, keeps, emit, output.flush)
        if counts.refused:
            console.print(f"{counts.refused:,} of {counts.answered + counts.refused:,} texts were refused.")
        return FAILED if counts.refused else 0

    try:
        with _rows(given) as (rows, moved):

            def emit(row: Row, outcome: Any) -> None:
                output.add(row, outcome)
                moved()

            return asyncio.run(ask(rows, emit))
    finally:
        output.flush()


@contextmanager
def _rows(given: ClassifyOptions) -> Iterator[tuple[Iterator[Row], Any]]:
    """The rows, and what is to be called after each; a bar is shown on stderr where somebody watches it alone."""
    if given.texts:
        yield of_arguments(given.texts), lambda: None
        return
    path = given.file or STREAM
    descriptor, size = _opened(path)
    watched = console.is_terminal and not sys.stdout.isatty()
    bar = (
        console.progress("Classifying", size, remaining=size is not None, transient=True) if watched else nullcontext()
    )
    done = read = 0
    with bar as move:

        def count(size: int) -> None:
            nonlocal read
            read += size

        def moved() -> None:
            nonlocal done, read
            done += 1
            if move is not None and done % 64 == 0:
                amount, read = read, 0
                move(amount, f"{done:,} texts")

        yield of_file(descriptor, kind_of(path, given.input_format), given.text or (), count), moved


def _opened(path: Path) -> tuple[int, int | None]:
    """The file's descriptor, and how long it is where that is known."""
    if path == STREAM:
        return 0, None
    try:
        descriptor = os.open(path, os.O_RDONLY)
        os.read(descriptor, 0)  # a folder opens, but cannot be read
        return descriptor, os.fstat(descriptor).st_size or None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def main() -> None:
    """Run the command line."""
    cli(prog_name="python -m text_classifier.classify")


if __name__ == "__main__":
    main()
