"""`python -m training inspect`: says what is in data before anything is trained on it, and what should be mended."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from repository.console import Console, Table
from repository.exit_status import INTERRUPTED, fail, one_line
from repository.manifest import ProblemType
from repository.option_class import takes_option_class
from repository.strict_json import strict_json
from training.commands.inspect_options import InspectOptions, Judge
from training.data.examples import Target
from training.data.load import DataError, tables_of
from training.data.reading import columns_of, read_examples
from training.data.split import SPLIT_NAMES
from training.inspection.findings import Inspection, Wishes, inspect_sources
from training.inspection.mislabelled import Advance, Embed

FOUND = 1
# Lines of a table on the terminal; files and --json hold all.
SHOWN_LABELS, SHOWN_LANGUAGES, SHOWN_DOUBTS = 30, 12, 10
# Columns of a text, at least.
SHOWN_TEXT = 24
errors = Console(stderr=True)


@takes_option_class
def inspect_data(given: InspectOptions) -> None:
    """Say what is in data before any training.

    Rows and what is left out, labels, languages, lengths in tokens, duplicates, texts under two labels, leaks between
    splits, and rows that are probably mislabelled. Nothing is trained and nothing is changed.

    python -m training inspect reviews.csv --text title --text body --label stars --out findings

    Exit status: 0 looked at, 1 with --strict when something is wrong, 2 something you gave can't be read, 130
    interrupted.
    """
    try:
        if given.corrections:
            _correct(given, given.corrections)
            return
        found = inspect_sources(
            given.sources, given.wanted, _wishes(given), given.validation or (), given.test or (), _step
        )
        written = _write(found, given.out) if given.out else []
    except (DataError, OSError) as error:
        fail(one_line(error))
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        _tell(found, written, given.as_json)
        raise typer.Exit(FOUND if given.strict and found.problems else 0)


def _wishes(given: InspectOptions) -> Wishes:
    embed = _encoder(given.base_model, given.max_length) if given.judge is Judge.ENCODER else None
    return Wishes(given.base_model, given.max_length, embed, given.judge is not Judge.NONE)


def _encoder(base_model: str | None, max_length: int) -> Embed:
    def embed(texts: Sequence[str], advance: Advance) -> Any:
        from training.inspection.sentence_vectors import sentence_vectors

        return sentence_vectors(texts, base_model, max_length, advance)

    return embed


@contextmanager
def _step(step: str, total: int) -> Iterator[Any]:
    with errors.progress(step, total, transient=True) as advance:
        yield advance


def _write(found: Inspection, out: Path) -> list[Path]:
    from training.inspection.corrections import write_tables

    return write_tables(found, out)


def _correct(given: InspectOptions, corrections: Sequence[Path]) -> None:
    from training.inspection.corrections import read_corrections, write_corrected

    if given.out is None:
        raise DataError("--corrections needs --out, a folder for the corrected data.")
    by_split = tables_of(given.sources, given.wanted, given.validation or (), given.test or ())
    columns = columns_of(by_split["train"][0], given.wanted)
    task = read_examples(by_split["train"][0], columns, given.wanted.task).task
    tables = [table for part in by_split.values() for table in part]
    labels = {key: label for path in corrections for key, label in read_corrections(path, task).items()}
    for path, changed, left_out in write_corrected(tables, columns, labels, given.out):
        Console().print(f"{path}: {changed} labels changed, {left_out} rows left out.")


def _tell(found: Inspection, written: Sequence[Path], as_json: bool) -> None:
    console = Console()
    if as_json:
        console.json(strict_json(found.as_json(), indent=2, ensure_ascii=False))
        return
    for line in _lines(found):
        console.print(line)
    for table in _tables(found):
        console.table(table)
    if found.doubts:
        console.table(_doubts(found))
    for problem in found.problems:
        console.print(f"- {problem}")
    if not found.problems:
        console.print("Nothing is wrong with it that could be seen.")
    if written:
        console.print(f"To correct: {', '.join(map(str, written))}")


def _lines(found: Inspection) -> list[str]:
    groups = len({row.example.group for row in found.rows})
    left_out = ", ".join(f"{count} without {name}" for name, count in sorted(found.skipped.items()))
    counts = ", ".join(f"{name} {sum(row.split == name for row in found.rows)}" for name in SPLIT_NAMES)
    dealt = " as they will be dealt" if found.dealt else ""
    split = "Splits: none can be dealt, see below." if found.cannot else f"Splits{dealt}: {counts}."
    lengths = found.lengths
    percentiles = ", ".join(
        f"{'longest' if share == 100 else f'{share} %'} {length}" for share, length in lengths.percentiles.items()
    )
    kind = {ProblemType.SINGLE_LABEL: "one label a row", ProblemType.MULTI_LABEL: "several labels a row"}
    return [
        f"Rows: {len(found.rows)} in {groups} {found.columns.unit}; left out: {left_out or 'none'}.",
        f"Columns: text {' + '.join(found.columns.text)}; label {found.columns.label} "
        f"({kind.get(found.task, 'a number')}); group {found.columns.group or 'none'}.",
        split,
        f"Tokens of {lengths.base_model}: {percentiles}; {lengths.unknown:.2%} unknown. In training "
        f"{lengths.cut_in_training} texts are cut at {lengths.max_length}, when served "
        f"{lengths.cut_when_served} at {lengths.limit}.",
        f"Duplicates: {len(found.duplicates.exact)} texts stand more than once, {len(found.duplicates.near)} groups "
        f"are nearly the same; {len(found.conflicts)} texts have several labels.",
    ]


def _tables(found: Inspection) -> list[Table]:
    tables = []
    if found.task is ProblemType.REGRESSION:
        tables.append(_table("Numbers", [(name, f"{value:.6g}") for name, value in found.numbers.items()], ""))
    else:
        total = len(found.rows)
        labels = [(name, f"{count} ({count / total:.1%})") for name, count in found.labels.most_common()]
        tables.append(_table("Labels", labels, "rows", SHOWN_LABELS))
    if found.detected is None:
        errors.print("Languages are not told: the data has no column for it, and py3langid is not installed.")
    else:
        languages = [(name, str(count)) for name, count in found.languages.items()]
        tables.append(_table(f"Languages{' (detected)' if found.detected else ''}", languages, "rows", SHOWN_LANGUAGES))
    return tables


def _table(title: str, rows: Sequence[tuple[str, str]], unit: str, most: int = 100) -> Table:
    table = Table()
    table.add_column(title)
    table.add_column(unit, justify="right")
    for row in rows[:most]:
        table.add_row(*row)
    if len(rows) > most:
        table.add_row(f"{len(rows) - most} others", "")
    return table


def _doubts(found: Inspection) -> Table:
    number = found.task is ProblemType.REGRESSION
    one_file = len({row.file for row in found.rows}) == 1
    table = Table(title="Probably labelled wrongly: look at these first", title_justify="left", expand=True)
    for name in ("row" if one_file else "file and row", "given", "expected" if number else "probably"):
        table.add_column(name, overflow="fold")
    table.add_column("deviations" if number else "times likelier", justify="right")
    table.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1, min_width=SHOWN_TEXT)
    for one in found.doubts[:SHOWN_DOUBTS]:
        row = found.rows[one.place]
        where = str(row.example.row) if one_file else f"{row.file.name} {row.example.row}"
        table.add_row(where, _shown(one.given), _shown(one.suggested), f"{one.score:.3g}", row.example.text)
    if len(found.doubts) > SHOWN_DOUBTS:
        table.caption = f"The first {SHOWN_DOUBTS} of {len(found.doubts)}; --out writes all of them."
    return table


def _shown(target: Target) -> str:
    if isinstance(target, tuple):
        return ", ".join(target) or "none"
    return f"{target:g}" if isinstance(target, float) else target
