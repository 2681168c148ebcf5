"""`python -m training inspect`: says what is in data before anything is trained on it, and what should be mended."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from repository.console import Console, Table
from repository.manifest import ProblemType
from repository.strict_json import strict_json
from training import SAMPLE_DATA
from training.commands import options
from training.data.columns import Wanted
from training.data.examples import Target
from training.data.load import DataError, tables_of
from training.data.reading import columns_of, read_examples
from training.data.split import SPLIT_NAMES
from training.inspection.findings import Inspection, Wishes, inspect_sources
from training.inspection.mislabelled import Advance, Embed
from training.settings import Settings

FOUND, USER_MISTAKE, INTERRUPTED = 1, 2, 130
# Lines of a table on the terminal; files and --json hold all.
SHOWN_LABELS, SHOWN_LANGUAGES, SHOWN_DOUBTS = 30, 12, 10
# Columns of a text, at least.
SHOWN_TEXT = 24
errors = Console(stderr=True)


class Judge(StrEnum):
    """By what a label is doubted."""

    WORDS = "words"
    ENCODER = "encoder"
    NONE = "none"


def inspect_data(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="What to look at; as --data.", show_default=False)
    ] = None,
    data: options.Data = None,
    text: options.Text = None,
    label: options.Label = None,
    group: options.Group = None,
    language: options.Language = None,
    label_separator: options.LabelSeparator = None,
    task: options.Task = options.TaskOption.AUTO,
    validation: options.Validation = None,
    test: options.Test = None,
    base_model: Annotated[
        str | None,
        typer.Option(help="Model whose tokens are counted: a folder or a hub id.", show_default="that of train"),
    ] = None,
    max_length: Annotated[int, typer.Option(min=8, help="Tokens that a text is cut at in training.")] = (
        Settings().max_length
    ),
    judge: Annotated[
        Judge,
        typer.Option(
            help="By what labels are doubted. words: TF-IDF, seconds. encoder: vectors of the base model, which is "
            "right far more often and reads some 50 texts a second on two cores. none: not at all."
        ),
    ] = Judge.WORDS,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for mislabelled.csv, duplicates.csv and conflicts.csv, to be corrected in a spreadsheet.",
            show_default="nothing is written",
        ),
    ] = None,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(
            help="One of these files, its column label corrected; a row whose label is emptied is left out. The "
            "data is written to --out anew, to be trained on.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, complete, in place of tables.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 when something is wrong with the data, for CI.")] = False,
) -> None:
    """Say what is in data before any training.

    Rows and what is left out, labels, languages, lengths in tokens, duplicates, texts under two labels, leaks between
    splits, and rows that are probably mislabelled. Nothing is trained and nothing is changed.

    python -m training inspect reviews.csv --text title --text body --label stars --out findings

    Exit status: 0 looked at, 1 with --strict when something is wrong, 2 something you gave can't be read, 130
    interrupted.
    """
    sources = [*(files or ()), *(data or ())] or [str(SAMPLE_DATA)]
    wanted = options.wanted_of(text, label, group, language, label_separator, task)
    try:
        if corrections:
            _correct(sources, wanted, validation or (), test or (), corrections, out)
            return
        embed = _encoder(base_model, max_length) if judge is Judge.ENCODER else None
        wishes = Wishes(base_model, max_length, embed, judge is not Judge.NONE)
        found = inspect_sources(sources, wanted, wishes, validation or (), test or (), _step)
        written = _write(found, out) if out else []
    except DataError as error:
        _fail(str(error), USER_MISTAKE)
    except OSError as error:
        _fail(str(error), USER_MISTAKE)
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        _tell(found, written, as_json)
        raise typer.Exit(FOUND if strict and found.problems else 0)


def _encoder(base_model: str | None, max_length: int) -> Embed:
    def embed(texts: Sequence[str], advance: Advance) -> Any:
        from training.inspection.sentence_vectors import sentence_vectors

        return sentence_vectors(texts, base_model, max_length, advance)

    return embed


@contextmanager
def _step(step: str, total: int) -> Iterator[Any]:
    with errors.progress(step, total, transient=True) as advance:
        yield advance


def _fail(reason: str, status: int) -> None:
    errors.error(" ".join(reason.split()))
    raise typer.Exit(status)


def _write(found: Inspection, out: Path) -> list[Path]:
    from training.inspection.corrections import write_tables

    return write_tables(found, out)


def _correct(
    sources: Sequence[str],
    wanted: Wanted,
    validation: Sequence[str],
    test: Sequence[str],
    corrections: Sequence[Path],
    out: Path | None,
) -> None:
    from training.inspection.corrections import read_corrections, write_corrected

    if out is None:
        raise DataError("--corrections needs --out, a folder for the corrected data.")
    by_split = tables_of(sources, wanted, validation, test)
    columns = columns_of(by_split["train"][0], wanted)
    task = read_examples(by_split["train"][0], columns, wanted.task).task
    tables = [table for part in by_split.values() for table in part]
    labels = {key: label for path in corrections for key, label in read_corrections(path, task).items()}
    for path, changed, left_out in write_corrected(tables, columns, labels, out):
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
