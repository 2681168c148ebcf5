"""Findings become tables that a person corrects in a spreadsheet, and a corrected table becomes data to train on.

A cell that a spreadsheet would compute is written with an apostrophe before it, which is taken off again when the
table is read (OWASP, "CSV Injection"). So is what follows a semicolon, a tab or a line break: a spreadsheet of a
country that separates by semicolons takes a table with commas apart there, whatever stands in quotation marks.
"""

import csv
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from repository.manifest import ProblemType
from repository.strict_json import strict_json
from training.data.columns import Columns
from training.data.examples import DataError, Target
from training.data.tables import Table, read_table
from training.data.targets import reader_of
from training.inspection.findings import Inspection

MISLABELLED, DUPLICATES, CONFLICTS = "mislabelled.csv", "duplicates.csv", "conflicts.csv"
_KEYS = ("file", "row", "label")
_GIVEN = "given"
# As a formula begins in one spreadsheet or another, in full width too; maybe behind blanks and apostrophes of its own.
_FORMULA = "[' ]*[-=+@\t\r\n|\uff1d\uff0b\uff0d\uff20]"
# Where a cell can begin.
_BEGIN = "(?:^|(?<=[;\t\r\n]))"
_UNGUARDED = re.compile(f"{_BEGIN}(?={_FORMULA})")
_GUARDED = re.compile(f"{_BEGIN}'(?={_FORMULA})")


def write_tables(found: Inspection, folder: Path) -> list[Path]:
    """Write what was found to `folder`, one CSV file a kind; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    doubts = (
        {**_row(found, one.place), "given": _cell(one.given), "suggested": _cell(one.suggested), "score": one.score}
        for one in found.doubts
    )
    groups = [*(("exact", group) for group in found.duplicates.exact), *(("near", g) for g in found.duplicates.near)]
    duplicates = (
        {"group": number, "kind": kind, **_row(found, place)}
        for number, (kind, group) in enumerate(groups, start=1)
        for place in group
    )
    conflicts = (
        {"group": number, **_row(found, place), "given": _cell(target), "suggested": _cell(_usual(found, group))}
        for number, group in enumerate(found.conflicts, start=1)
        for place in group
        for target in [found.rows[place].example.target]
    )
    usual = [*_KEYS, "split", "text"]
    return [
        _write(folder / MISLABELLED, [*_KEYS, "given", "suggested", "score", "split", "text"], doubts),
        _write(folder / DUPLICATES, ["group", "kind", *usual], duplicates),
        _write(folder / CONFLICTS, ["group", *_KEYS, "given", "suggested", "split", "text"], conflicts),
    ]


def read_corrections(path: Path, task: ProblemType) -> dict[tuple[str, int], Target | None]:
    """Read a table that `write_tables` wrote and somebody corrected: the label of each row, None to leave it out.

    A row whose label is still the one beside it that was given is no correction: a spreadsheet that makes a number or a
    date of a label does so with both.

    Raises:
        DataError: it is no such table; the message names the row.
    """
    table = read_table(path, _KEYS)
    if missing := [name for name in _KEYS if name not in table.columns]:
        raise DataError(f"{path}: row 1, the header, lacks the column {missing[0]}; inspect --out writes such a table.")
    read = reader_of(task, None)
    found: dict[tuple[str, int], Target | None] = {}
    for row in table.rows(_KEYS, optional=(_GIVEN,)):
        if row.fields["label"] == row.fields.get(_GIVEN):
            continue
        try:
            label = _plain(row.fields["label"]).strip()
            found[_plain(row.fields["file"]), int(row.fields["row"])] = read(label) if label else None
        except ValueError as error:  # a DataError is one
            reason = str(error) if isinstance(error, DataError) else f"'{row.fields['row'][:20]}' is no row's number."
            raise DataError(f"{path}: row {row.number}: {reason}") from None
    return found


def write_corrected(
    tables: Iterable[Table], columns: Columns, corrections: dict[tuple[str, int], Target | None], folder: Path
) -> list[tuple[Path, int, int]]:
    """Write each table anew with its labels corrected, as JSON Lines, which no spreadsheet computes.

    Args:
        tables: as they were read.
        columns: what is kept of them.
        corrections: labels by file and row; None leaves the row out.
        folder: is made where it is not.

    Returns:
        Each file written, its labels changed and its rows left out.

    Raises:
        DataError: a correction is of a row that no table has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = list(tables)
    left = set(corrections)
    written: list[tuple[Path, int, int]] = []
    with tempfile.TemporaryDirectory(prefix=".corrected-", dir=folder) as work:
        names = _names(folder, tables)
        for table, name in zip(tables, names, strict=True):
            counts = _write_table(table, columns, corrections, Path(work) / name, left)
            written.append((folder / name, *counts))
        if left:
            file, number = min(left)
            raise DataError(f"{file} has no row {number} that could be corrected; give the data that was inspected.")
        for name in names:
            (Path(work) / name).replace(folder / name)
    return written


def _write_table(
    table: Table,
    columns: Columns,
    corrections: dict[tuple[str, int], Target | None],
    path: Path,
    left: set[tuple[str, int]],
) -> tuple[int, int]:
    """Write a table with its labels corrected; return how many were changed, and how many rows are left out."""
    changed = out = 0
    optional = (columns.language,) if columns.language else ()
    ids = (columns.group,) if columns.group else ()
    with path.open("w", encoding="utf-8") as file:
        for row in table.rows(columns.needed, optional, ids, as_it_is=columns.label):
            key = (str(table.path), row.number)
            left.discard(key)
            label: Any = row.value
            if key in corrections:
                if (label := corrections[key]) is None:
                    out += 1
                    continue
                before = _as_read(row.value, label, columns)
                changed += before != label
                label = row.value if before == label else list(label) if isinstance(label, tuple) else label
            # A decimal number of Parquet is none of JSON's; its text is read as the same number.
            own = label if isinstance(label, str | int | float | list | tuple | None) else str(label)
            record = {**row.fields, columns.label: own}
            file.write(strict_json(record, ensure_ascii=False) + "\n")
    return changed, out


def _as_read(value: Any, like: Target, columns: Columns) -> Target | None:
    task = ProblemType.SINGLE_LABEL if isinstance(like, str) else ProblemType.REGRESSION
    return reader_of(ProblemType.MULTI_LABEL if isinstance(like, tuple) else task, columns.separator)(value)


def _names(folder: Path, tables: Sequence[Table]) -> list[str]:
    """Name the corrected file of each table; none is that of another one, or of the data itself."""
    taken = {table.path.resolve() for table in tables}
    names = []
    for table in tables:
        stem = table.path.name.split(".")[0] or "data"
        path = next(path for name in _numbered(stem) if (path := (folder / name).resolve()) not in taken)
        taken.add(path)
        names.append(path.name)
    return names


def _numbered(stem: str) -> Iterator[str]:
    yield f"{stem}.corrected.jsonl"
    yield from (f"{stem}-{number}.corrected.jsonl" for number in count(1))


def _row(found: Inspection, place: int) -> dict[str, Any]:
    row = found.rows[place]
    return {
        "file": str(row.file),
        "row": row.example.row,
        "label": _cell(row.example.target),
        "split": row.split or "",
        "text": row.example.text,
    }


def _cell(target: Target) -> str | float:
    """One label as it is, several as a JSON list, a number."""
    return json.dumps(list(target), ensure_ascii=False) if isinstance(target, tuple) else target


def _usual(found: Inspection, places: Sequence[int]) -> Target:
    counts = Counter(found.rows[place].example.target for place in places)
    return min(counts, key=lambda target: (-counts[target], str(target)))


def _write(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # the mark tells Excel that it is UTF-8
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _guarded(value) if isinstance(value, str) else value for name, value in row.items()})
    return path


def _guarded(text: str) -> str:
    return _UNGUARDED.sub("'", text)


def _plain(text: str) -> str:
    return _GUARDED.sub("", text)
