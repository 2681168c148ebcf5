"""Ideas are read from a CSV file of mind maps: any line break in a title, a clear error for each way a file is bad."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.ideas import DataError, Idea, fold_white_space, read_label

REQUIRED_COLUMNS = ("map_id", "map_title", "map_category_name", "idea_title")
# A map without a title still gives sentences; a row without one of these gives none.
NEEDED_IN_EACH_ROW = ("map_id", "map_category_name", "idea_title")
LANGUAGE_COLUMN = "language"

# Python's own limit (131,072 characters) is one for the whole process and short for pasted texts; this is a C long's.
_FIELD_SIZE_LIMIT = 2**31 - 1
# Comes last unless a quotation mark is still open: Python's reader closes it without a word.
_END = "\x00end of file"


@dataclass(frozen=True)
class MapsFile:
    """What a file holds: its ideas, and the rows that gave none."""

    path: Path
    ideas: tuple[Idea, ...]
    skipped: dict[str, int]
    """Rows left out, counted by the column that was empty in them."""


def read_maps_csv(path: Path) -> MapsFile:
    """Read every idea of the CSV file at `path`.

    Rows in error messages are counted as a spreadsheet shows them: the header is row 1.

    Raises:
        DataError: not a readable CSV file in UTF-8, a column is missing, or no row has all that an idea needs.
    """
    rows = _numbered_rows(path)
    header = _header(path, rows)
    columns = {name: header.index(name) for name in (*REQUIRED_COLUMNS, LANGUAGE_COLUMN) if name in header}
    ideas: list[Idea] = []
    skipped: Counter[str] = Counter()
    first_skipped: dict[str, int] = {}
    for number, row in rows:
        if not any(field.strip() for field in row):  # blank lines, as spreadsheets leave them at the end
            continue
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(row)} columns where the header has {len(header)}; "
                "a field with a comma, a quotation mark or a line break in it must stand in quotation marks."
            )
        fields = {name: fold_white_space(row[index]) for name, index in columns.items()}
        try:
            fields["map_category_name"] = read_label(row[columns["map_category_name"]])
        except DataError as error:
            raise DataError(f"{path}: row {number}: {error}") from None
        empty = next((name for name in NEEDED_IN_EACH_ROW if not fields[name]), None)
        if empty is None:
            ideas.append(_idea(fields))
        else:
            skipped[empty] += 1
            first_skipped.setdefault(empty, number)
    if not ideas:
        raise _nothing_usable(path, skipped, first_skipped)
    return MapsFile(path, tuple(ideas), dict(skipped))


def _idea(fields: dict[str, str]) -> Idea:
    return Idea(
        map_id=fields["map_id"],
        map_title=fields["map_title"],
        sentence=fold_white_space(f"{fields['idea_title']} {fields['map_title']}"),
        label=fields["map_category_name"],
        language=fields.get(LANGUAGE_COLUMN) or None,
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; a CSV file is needed.") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}.") from None
    if not content.strip():
        raise DataError(f"{path} is empty; a CSV file with the columns {', '.join(REQUIRED_COLUMNS)} is needed.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is encoded in UTF-16; save it as CSV in UTF-8.")
    if b"\x00" in content:  # a workbook, an archive, an image: text has no such byte
        raise DataError(f"{path} is not a CSV file but a binary one; save the table as CSV in UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        number = sum(1 for _ in csv.reader(_lines(f"{before}?")))
        raise DataError(
            f"{path}: row {number} is not in UTF-8 (byte 0x{content[error.start]:02x}); save the file as CSV in UTF-8."
        ) from None


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")  # line breaks inside quotation marks stay as they are


def _numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of the file with its number in a spreadsheet, the header first as row 1."""
    text = _text(path)
    limit_before = csv.field_size_limit(_FIELD_SIZE_LIMIT)
    number = 0
    try:
        for number, row in enumerate(csv.reader((*_lines(text), _END)), start=1):
            if row and row[-1].endswith(_END):
                if row != [_END]:
                    raise DataError(f"{path}: row {number} opens a quotation mark that is never closed.")
                return
            yield number, row
    except csv.Error as error:
        raise DataError(f"{path}: row {number + 1} is not CSV ({error}).") from None
    finally:
        csv.field_size_limit(limit_before)


def _header(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    _, row = next(rows, (1, []))
    header = [name.strip() for name in row]
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if not missing:
        return header
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if set(REQUIRED_COLUMNS) <= {field.strip(' "') for field in separator.join(row).split(separator)}:
            raise DataError(f"{path}: row 1 separates its columns by {name}; save the file with commas.")
    found = ", ".join(name or "(no name)" for name in header)
    plural = "s" if len(missing) > 1 else ""
    raise DataError(
        f"{path}: row 1, the header, lacks the column{plural} {', '.join(missing)}; "
        f"it has {found[:200] + ' ...' if len(found) > 200 else found}."
    )


def _nothing_usable(path: Path, skipped: Counter[str], first_skipped: dict[str, int]) -> DataError:
    if not skipped:
        return DataError(f"{path} has a header and no row below it; each idea of a map is one row.")
    column, count = skipped.most_common(1)[0]
    return DataError(
        f"{path}: no row can be used; column {column} is empty in {count} of {skipped.total()} rows, "
        f"first in row {first_skipped[column]}."
    )
