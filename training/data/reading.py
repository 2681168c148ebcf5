"""Examples are read from a table: any line break in a text, a clear error for each way a file is bad."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repository.manifest import ProblemType
from repository.text_columns import joined_text
from training.data.columns import Columns, Wanted, choose_columns, listed
from training.data.examples import DataError, Example, Target, fold_white_space
from training.data.lookalikes import alike_title
from training.data.tables import Row, Table, read_table
from training.data.targets import reader_of, task_of


@dataclass(frozen=True)
class Reading:
    """What a table holds: its examples, and the rows that gave none."""

    path: Path
    sha256: str
    columns: Columns
    task: ProblemType
    examples: tuple[Example, ...]
    skipped: dict[str, int]
    """Rows left out, counted by the column that was empty in them."""


def read_file(path: Path, wanted: Wanted | None = None) -> Reading:
    """Return the examples of a file by the columns that are wanted, or that it seems to have.

    Raises:
        DataError: it can't be read, or has no such columns; the message names the file.
    """
    wanted = wanted or Wanted()
    table = read_table(path, wanted.names)
    return read_examples(table, columns_of(table, wanted), wanted.task)


def columns_of(table: Table, wanted: Wanted) -> Columns:
    """Return the columns of a table that are wanted. Raises DataError: it has none; the message names the file."""
    try:
        return choose_columns(table.columns, wanted)
    except DataError as error:
        raise DataError(f"{table.path}: {error}") from None


def read_examples(table: Table, columns: Columns, task: ProblemType | None = None) -> Reading:
    """Return the examples of a table.

    Args:
        table: read.
        columns: which of its columns are meant.
        task: what a label is; None: what the values look like.

    Raises:
        DataError: a column is missing, a label is none, or no row has all that an example needs.
    """
    _check_columns(table, columns)
    if task is None:
        task = task_of((row.value for row in _rows(table, columns)), columns.separator)
    read_target = reader_of(task, columns.separator)
    examples: list[Example] = []
    skipped: Counter[str] = Counter()
    first_skipped: dict[str, int] = {}
    for row in _rows(table, columns):
        try:
            target = read_target(row.value)
        except DataError as error:
            raise DataError(f"{table.path}: {table.unit} {row.number}, column {columns.label}: {error}") from None
        empty = _empty_column(row, columns, target)
        if empty is None:
            assert target is not None
            examples.append(_example(row, columns, target))
        elif any(text.strip() for text in row.fields.values()) or target:
            skipped[empty] += 1
            first_skipped.setdefault(empty, row.number)
    if not examples:
        raise _nothing_usable(table, skipped, first_skipped)
    return Reading(table.path, table.sha256, columns, task, tuple(examples), dict(skipped))


def text_of(fields: dict[str, str], columns: Columns) -> str:
    """Return the text of a row as it is served."""
    return joined_text([fields[name] for name in columns.text])


def _rows(table: Table, columns: Columns) -> Iterator[Row]:
    optional = (columns.language,) if columns.language else ()
    return table.rows(columns.needed, optional, ids=(columns.group,) if columns.group else (), as_it_is=columns.label)


def _empty_column(row: Row, columns: Columns, target: Target | None) -> str | None:
    if columns.group and not row.fields[columns.group].strip():
        return columns.group
    if target is None:
        return columns.label
    return None if row.fields[columns.text[0]].strip() else columns.text[0]


def _example(row: Row, columns: Columns, target: Target) -> Example:
    text = text_of(row.fields, columns)
    title = fold_white_space(row.fields[columns.group_title]) if columns.group_title else ""
    # Rows of no group stand alone, but for copies of one text.
    group = fold_white_space(row.fields[columns.group]) if columns.group else alike_title(text)
    language = fold_white_space(row.fields.get(columns.language, "")) if columns.language else ""
    return Example(text, target, group, title, language or None, row.number)


def _check_columns(table: Table, columns: Columns) -> None:
    missing = [name for name in columns.needed if name not in table.columns]
    if not missing:
        return
    plural = "s" if len(missing) > 1 else ""
    if not table.columns:
        raise DataError(f"{table.path} has no {table.unit}; each example is one.")
    where = "row 1, the header, lacks" if table.has_header else f"no {table.unit} has"
    raise DataError(f"{table.path}: {where} the column{plural} {', '.join(missing)}; it has {listed(table.columns)}.")


def _nothing_usable(table: Table, skipped: Counter[str], first_skipped: dict[str, int]) -> DataError:
    if not skipped:
        below = "a header and no row below it" if table.has_header else f"no {table.unit}"
        return DataError(f"{table.path} has {below}; each example is one row.")
    column, count = skipped.most_common(1)[0]
    return DataError(
        f"{table.path}: no row can be used; column {column} is empty in {count} of {skipped.total()} rows, "
        f"first in {table.unit} {first_skipped[column]}."
    )
