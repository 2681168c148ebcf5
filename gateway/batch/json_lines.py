"""JSON Lines, an object a line: its columns and their types are known once it has been read through."""

from collections.abc import Callable, Iterator
from typing import Any

from gateway.batch.errors import UsageError
from gateway.batch.formats import STREAM
from gateway.batch.rows import CHUNK_ROWS, Broken, BrokenRowError, Chunk, Place, TextColumns, Values
from gateway.batch.source import Source
from repository.strict_json import StrictJsonError, read_strict_json

_INT64 = 2**63
_REPORT_EVERY = 1000


class JsonLinesReader:
    """A file of objects.

    `learn` reads all of it for its columns and types, which CSV and Parquet have to have before their first row.
    """

    unit = "line"

    def __init__(self, source: Source) -> None:
        """Raises UsageError: it is empty, or begins as something else."""
        self._source = source
        self._lines = source.lines()
        self._first = next((line for line in self._counted() if line.strip()), None)
        self.columns: list[str] = []
        self.types: dict[str, Any] = {}
        if self._first is None:
            raise UsageError(f"{source.path}: it is empty; an object a line is needed.")
        if not self._first.lstrip().startswith(b"{"):
            raise UsageError(
                f"{source.path}: an object a line is needed"
                + (", not one list of them: `jq -c '.[]'` makes lines of it." if self._first.startswith(b"[") else ".")
            )
        try:
            self.columns = list(_record(self._first))
        except BrokenRowError as error:
            raise UsageError(f"{source.path}: line {self._number} {error}.") from None

    _number = 0

    def _counted(self) -> Iterator[bytes]:
        for line in self._lines:
            self._number += 1
            yield line

    def learn(self, report: Callable[[int], None]) -> None:
        """Find the columns and their types; `report` is told how many bytes were read. Broken lines say nothing."""
        assert self._source.path != STREAM
        kinds: dict[str, set[str]] = {}
        source = Source(self._source.path)
        try:
            for number, line in enumerate(source.lines()):
                if number % _REPORT_EVERY == 0:
                    report(source.progress())
                try:
                    record = _record(line)
                except BrokenRowError:
                    continue
                for name, value in record.items():
                    kinds.setdefault(name, set()).add(_kind(value))
        finally:
            source.close()
        self.columns = list(kinds)
        self.types = {name: _type(found - {"null"}) for name, found in kinds.items()}

    def chunks(self, start: Place, text_of: TextColumns, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows behind `start`."""
        number = start.row or self._number - 1
        if start.offset:
            self._source.go_to(start.offset)
            lines = self._lines
        else:
            lines = self._from_first()
        chunk = Chunk(most_rows=rows)
        for line in lines:
            number += 1
            if line.strip():
                try:
                    values = _record(line)
                    chunk.add(number, values, text_of.text(values))
                except BrokenRowError as error:
                    chunk.broken.append(Broken(number, str(error), line.decode("utf-8", "backslashreplace").rstrip()))
            if chunk.is_full:
                yield self._ended(chunk, number)
                chunk = Chunk(most_rows=rows)
        if chunk.rows or chunk.broken:
            yield self._ended(chunk, number)

    def _from_first(self) -> Iterator[bytes]:
        assert self._first is not None
        yield self._first
        yield from self._lines

    def _ended(self, chunk: Chunk, number: int) -> Chunk:
        chunk.end = Place(number, self._source.offset)
        chunk.read_bytes = self._source.progress()
        return chunk


def _record(line: bytes) -> Values:
    """Return the object of a line. Raises BrokenRowError: it is none, or holds more than can be written again."""
    try:
        record = read_strict_json(line.decode())
    except UnicodeDecodeError:
        raise BrokenRowError("is not in UTF-8") from None
    except StrictJsonError as error:
        raise BrokenRowError(str(error)) from None
    if not isinstance(record, dict):
        raise BrokenRowError("is no object")
    return record


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -_INT64 <= value < _INT64 else "other"
    if isinstance(value, float):
        return "double"
    if isinstance(value, str):
        return "string"
    return "strings" if isinstance(value, list) and all(isinstance(item, str) for item in value) else "other"


def _type(kinds: set[str]) -> str:
    """Return the type that holds values of all these kinds; a JSON text where no other does."""
    if len(kinds) == 1:
        return kinds.pop()
    return "double" if kinds == {"int64", "double"} else "other"
