"""A table in CSV or TSV, read strictly: what is not quoted as it must be is refused with row, column and cause."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repository.delimited_text import DELIMITERS, QUOTING_ADVICE, SEP_LINE
from training.data.examples import DataError
from training.data.file_text import decode

# Python's own limit (131,072 characters) is one for the whole process and short for pasted texts; this is a C long's.
_FIELD_SIZE_LIMIT = 2**31 - 1
# Long enough for any header; so much is split by each delimiter in turn.
_HEADER_CHARACTERS = 65_536
_SEP_LINE = re.compile(rf"\s*{SEP_LINE}(?:\r\n|\r|\n)", re.IGNORECASE)
_ADVICE = ' (in Excel as "CSV UTF-8")'
_DOUBLE_IT = 'a quotation mark inside a text must be written twice, as in "say ""hi"" now".'


@dataclass(frozen=True)
class Line:
    """One row of the file as it is."""

    number: int
    """As a spreadsheet shows it: the header is row 1, a line break within quotation marks begins no row."""
    first: int
    """The line of the file in which it begins, from 1."""
    cells: list[str]


def read_delimited(path: Path, content: bytes, wanted: Sequence[str], usual: str = ",") -> list[Line]:
    """Return the rows of a CSV or TSV file, the header first; blank rows are left out.

    Args:
        path: named in errors.
        content: its bytes.
        wanted: column names; the delimiter is the one by which the header has most of them, then most columns.
        usual: the delimiter where nothing else tells.

    Raises:
        DataError: not text in UTF-8 or UTF-16, a row is not quoted as it must be, or has more or fewer fields.
    """
    text = decode(path, content, lambda before: _locate(before, wanted, usual), _ADVICE)
    lines = [line for line in _split(path, text, wanted, usual) if any(cell.strip() for cell in line.cells)]
    return [lines[0], *(_fitting(path, line, lines[0].cells) for line in lines[1:])] if lines else []


def _split(path: Path, text: str, wanted: Sequence[str], usual: str) -> Iterator[Line]:
    delimiter, body, first = _start(text, wanted, usual)
    lines = _Remembered(body)
    limit_before = csv.field_size_limit(_FIELD_SIZE_LIMIT)
    number, header = 0, None
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        for number, cells in enumerate(reader, start=1):
            cells = [cell.lstrip("\ufeff") for cell in cells]
            line = Line(number, first + lines.begin, cells)
            header = header or (cells if any(cell.strip() for cell in cells) else None)
            _refuse_backslashes(path, line, lines.raw, header)
            yield line
            lines.forget()
    except csv.Error as error:
        line = Line(number + 1, first + lines.begin, [])
        raise _badly_quoted(path, line, lines.raw, delimiter, header or (), error) from None
    finally:
        csv.field_size_limit(limit_before)


class _Remembered:
    """The lines of a text, those of the row that is being read kept to say what is wrong in it."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")  # line breaks inside quotation marks stay as they are
        self._kept: list[str] = []
        self.begin = 0
        """Number of lines before the row."""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._kept.append(line)
            yield line

    @property
    def raw(self) -> str:
        return "".join(self._kept)

    def forget(self) -> None:
        self.begin += len(self._kept)
        self._kept.clear()


def _start(text: str, wanted: Sequence[str], usual: str) -> tuple[str, str, int]:
    """Return the delimiter, the text behind a line `sep=;`, and the number of the line that it begins in."""
    if named := _SEP_LINE.match(text):
        skipped = len(io.StringIO(named.group(), newline="").readlines())
        return named.group(1), text[named.end() :], 1 + skipped
    start = text[:_HEADER_CHARACTERS]

    def fit(delimiter: str) -> tuple[int, int, bool]:
        names = {name.strip() for name in _first_row(start, delimiter)}
        return len(names & set(wanted)), len(names), delimiter == usual

    return max(DELIMITERS, key=fit), text, 1


def _first_row(text: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return next((row for row in reader if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []


def _locate(before: str, wanted: Sequence[str], usual: str) -> tuple[str, str]:
    """Return the row and the column in which a text that is cut off ends."""
    delimiter, body, first = _start(before, wanted, usual)
    rows = list(csv.reader(io.StringIO(f"{body}?", newline=""), delimiter=delimiter)) if body else [["?"]]
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    line = Line(len(rows), first + len(io.StringIO(f"{body}?", newline="").readlines()) - 1, rows[-1])
    column = _name(header, len(line.cells) - 1) if line.cells is not header else f"column {len(header)}"
    return f"row {line.number}", f", in {column}{_line_of(line)}"


def _name(header: Sequence[str], place: int) -> str:
    return f"column {header[place].strip()}" if place < len(header) and header[place].strip() else f"column {place + 1}"


def _line_of(line: Line) -> str:
    return f", line {line.first} of the file" if line.first != line.number else ""


def _fitting(path: Path, line: Line, header: list[str]) -> Line:
    """Return the row with as many fields as the header; those that are blank, or have no name, may be lacking."""
    count, wide = len(line.cells), len(header)
    if [cell.strip() for cell in line.cells] == [cell.strip() for cell in header]:
        raise DataError(f"{path}: row {line.number} is the header once more{_line_of(line)}; take it out.")
    if any(cell.strip() for cell in line.cells[wide:]) or any(name.strip() for name in header[count:]):
        column = _name(header, count) + " is missing" if count < wide else f"column {wide + 1} is one too many"
        raise DataError(
            f"{path}: row {line.number} has {count} columns where the header has {wide} ({column}{_line_of(line)}); "
            f"{QUOTING_ADVICE}."
        )
    return Line(line.number, line.first, [*line.cells[:wide], *[""] * (wide - count)])


def _refuse_backslashes(path: Path, line: Line, raw: str, header: Sequence[str] | None) -> None:
    """Refuse `say \\"hi\\" now` outside of quotation marks, which would be read with its backslashes."""
    places = [place for place, cell in enumerate(line.cells) if '\\"' in cell]
    if places and sum(line.cells[place].count('\\"') for place in places) > raw.count('\\""'):
        place = places[0]
        raise _backslash(path, line, _name(header or (), place))


def _backslash(path: Path, line: Line, column: str) -> DataError:
    return DataError(
        f"{path}: row {line.number}, {column}: a quotation mark is escaped by a backslash{_line_of(line)}; {_DOUBLE_IT}"
    )


def _badly_quoted(
    path: Path, line: Line, raw: str, delimiter: str, header: Sequence[str], error: csv.Error
) -> DataError:
    """Say what is wrong with the row that `csv` refused."""
    column = at = 0
    while True:
        begin = at + len(raw[at:]) - len(raw[at:].lstrip(" "))
        if raw[begin : begin + 1] == '"':
            end = _closing(raw, begin + 1)
            name, field = _name(header, column), raw[begin:end]
            if end < 0:
                hint = "quotation marks are escaped by a backslash there; " if '\\"' in raw[begin:] else ""
                return DataError(
                    f"{path}: row {line.number} opens a quotation mark that is never closed, in {name}"
                    f"{_line_of(line)}; {hint}{_DOUBLE_IT}"
                )
            at = end + 1
            if raw[at : at + 1] not in (delimiter, "\r", "\n", ""):
                if field.endswith("\\"):
                    return _backslash(path, line, name)
                return DataError(
                    f"{path}: row {line.number}, {name}: text follows a closing quotation mark{_line_of(line)}; "
                    f"{_DOUBLE_IT}"
                )
        end_of_field = re.compile(f"[{re.escape(delimiter)}\r\n]").search(raw, at)
        if end_of_field is None or end_of_field.group() != delimiter:
            return DataError(f"{path}: row {line.number} is not CSV ({error}){_line_of(line)}.")
        column, at = column + 1, end_of_field.end()


def _closing(raw: str, start: int) -> int:
    """Return where the quotation mark is that closes the field; -1 if there is none."""
    while (found := raw.find('"', start)) >= 0:
        if raw[found + 1 : found + 2] != '"':
            return found
        start = found + 2
    return -1
