"""CSV and TSV, row by row: quoting is read strictly, and a row that breaks it costs no other."""

import csv
import itertools
import re
from collections.abc import Iterator
from typing import Any

from gateway.batch.errors import UsageError
from gateway.batch.formats import Format
from gateway.batch.rows import CHUNK_ROWS, Broken, BrokenRowError, Chunk, Place, TextColumns
from gateway.batch.source import LONGEST_LINE_BYTES, Source
from repository.delimited_text import DELIMITERS, QUOTING_ADVICE, SEP_LINE

_SEP_LINE = re.compile(SEP_LINE, re.IGNORECASE)


class DelimitedReader:
    """A table whose first row names its columns."""

    unit = "row"

    def __init__(self, source: Source, kind: Format) -> None:
        """Raises UsageError: it has no header, or two columns of one name."""
        csv.field_size_limit(LONGEST_LINE_BYTES)  # of the whole process; Python's own is short for pasted texts
        self._source = source
        self._raw: list[bytes] = []
        self._bad_bytes = False
        self._lines = self._decoded()
        self._header_row = 0
        first = self._first_line()
        if named := _SEP_LINE.fullmatch(first):  # what Excel writes to say its delimiter; no row
            self._header_row = 0
            self._delimiter, first = named.group(1), self._first_line()
        else:
            self._delimiter = _delimiter_of(first, kind.delimiter)
        # Elsewhere a blank at the start of a field is the field's.
        self._blanks_lead = f"{self._delimiter} " in first
        try:
            self.columns = [name.strip() for name in next(self._reader(itertools.chain([first], self._lines)))]
        except csv.Error as error:
            raise self._refused(f"row {self._header_row}, the header, can't be read ({error}).") from None
        twins = [name for name in self.columns if self.columns.count(name) > 1]
        if twins:
            raise self._refused(f"the column {twins[0]} stands twice; which of them is meant?")
        self.types: dict[str, Any] = {}

    def chunks(self, start: Place, text_of: TextColumns, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows behind `start`."""
        number = start.row or self._header_row
        if start.offset:
            self._source.go_to(start.offset)
        reader = self._reader(self._lines)
        chunk = Chunk(most_rows=rows)
        ended = False
        while not ended:
            self._raw, self._bad_bytes = [], False
            number += 1
            cells: list[str] = []
            try:
                cells = next(reader)
                if cells:
                    values = self._values(cells)
                    chunk.add(number, values, text_of.text(values))
            except StopIteration:
                ended = True
                number -= 1
            except csv.Error as error:
                chunk.broken.append(self._broken(number, self._explained(number, error)))
            except BrokenRowError as error:
                chunk.broken.append(self._broken(number, str(error)))
            if ended or chunk.is_full:
                chunk.end = Place(number, self._source.offset)
                chunk.read_bytes = self._source.progress()
                if chunk.rows or chunk.broken:
                    yield chunk
                chunk = Chunk(most_rows=rows)

    def _values(self, cells: list[str]) -> dict[str, str]:
        if self._bad_bytes:
            raise BrokenRowError("is not in UTF-8")
        count, wide = len(cells), len(self.columns)
        if any(cell.strip() for cell in cells[wide:]) or count < wide:
            raise BrokenRowError(f"has {count} columns where the header has {wide}; {QUOTING_ADVICE}")
        return dict(zip(self.columns, cells, strict=False))

    def _explained(self, number: int, error: csv.Error) -> str:
        """Say what is wrong. Raises UsageError: nobody can tell where the next row begins."""
        if "unexpected end" in str(error) or "field larger" in str(error):
            raise self._refused(f"row {number} opens a quotation mark that is never closed.")
        return f"is not quoted as it must be ({error}); {QUOTING_ADVICE}"

    def _broken(self, number: int, reason: str) -> Broken:
        return Broken(number, reason, b"".join(self._raw).decode("utf-8", "backslashreplace").rstrip("\r\n"))

    def _reader(self, lines: Any) -> Any:
        return csv.reader(lines, delimiter=self._delimiter, strict=True, skipinitialspace=self._blanks_lead)

    def _decoded(self) -> Iterator[str]:
        for line in self._source.lines():
            self._raw.append(line)
            try:
                yield line.decode()
            except UnicodeDecodeError:
                self._bad_bytes = True
                yield line.decode("utf-8", "backslashreplace")

    def _first_line(self) -> str:
        """Return the first line that is not blank."""
        for line in self._lines:
            self._header_row += 1
            if "\x00" in line:
                raise self._refused("it is binary; a table as CSV, TSV, JSON Lines or Parquet is needed.")
            if self._bad_bytes:
                raise self._refused("its first row is not in UTF-8; save it in UTF-8.")
            if line.strip():
                return line
        raise self._refused("it is empty; a header and a row for each text are needed.")

    def _refused(self, reason: str) -> UsageError:
        return UsageError(f"{self._source.path}: {reason}")


def _delimiter_of(line: str, usual: str) -> str:
    """Return the delimiter by which the header has most columns."""

    def columns(delimiter: str) -> tuple[int, bool]:
        try:
            return len(next(csv.reader([line], delimiter=delimiter), [])), delimiter == usual
        except csv.Error:  # told of when the header is read
            return 0, False

    return max(DELIMITERS, key=columns)
