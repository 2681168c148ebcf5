"""Rows with their answers become bytes: of CSV, TSV or JSON Lines, or of the Arrow stream that Parquet is made of.

What a chunk becomes depends on nothing but the chunk: a file is the same however often it was gone on with.
"""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.batch.errors import UsageError
from gateway.batch.formats import Format
from gateway.batch.parquet import arrow, arrow_type
from gateway.batch.rows import Values
from repository.strict_json import strict_json


class TableWriter(Protocol):
    """Makes the bytes of one kind of file."""

    def head(self) -> bytes:
        """What stands before the first row."""

    def body(self, rows: Sequence[Values], answers: Sequence[Sequence[Any]]) -> bytes:
        """The rows of a chunk, each with the values of the columns that are added."""


class DelimitedWriter:
    """CSV or TSV."""

    def __init__(self, kind: Format, columns: Sequence[str], added: Sequence[str], separator: str) -> None:
        """`separator` stands between the labels of one field."""
        self._delimiter = kind.delimiter
        self._columns = list(columns)
        self._added = list(added)
        self._separator = separator

    def head(self) -> bytes:
        """The header."""
        return self._lines([[*self._columns, *self._added]])

    def body(self, rows: Sequence[Values], answers: Sequence[Sequence[Any]]) -> bytes:
        """A line a row."""
        return self._lines(
            [
                [*(_cell(row.get(name)) for name in self._columns), *map(self._answer, answer)]
                for row, answer in zip(rows, answers, strict=True)
            ]
        )

    def _answer(self, value: Any) -> str:
        return self._separator.join(map(str, value)) if isinstance(value, list) else _cell(value)

    def _lines(self, rows: Sequence[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        usual = csv.writer(text, delimiter=self._delimiter, lineterminator="\n")
        # Python 3.11 leaves a carriage return without the quotation marks that it needs.
        quoting = csv.writer(text, delimiter=self._delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in rows:
            (quoting if any("\r" in cell for cell in row) else usual).writerow(row)
        return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return _json(value)
    return str(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # dates and bytes of Parquet; NaN
        return strict_json(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


class JsonLinesWriter:
    """An object a line."""

    def __init__(self, added: Sequence[str]) -> None:
        self._added = list(added)

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def body(self, rows: Sequence[Values], answers: Sequence[Sequence[Any]]) -> bytes:
        """An object a row."""
        lines = [
            _json({**row, **dict(zip(self._added, answer, strict=True))})
            for row, answer in zip(rows, answers, strict=True)
        ]
        # Half a surrogate pair, which JSON can hold and UTF-8 can't, stays as JSON writes it.
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


class ArrowWriter:
    """A stream of record batches, to become Parquet once it is whole."""

    def __init__(self, types: Mapping[str, Any], added: Mapping[str, str]) -> None:
        """`types` are those of the file's columns, `added` those of the answer's."""
        self._arrow = arrow()
        lists = self._arrow.list_(self._arrow.float64())
        answer_types = {name: lists if kind == "doubles" else arrow_type(kind) for name, kind in added.items()}
        self._types = {name: arrow_type(kind) for name, kind in types.items()}
        self._as_json = {name for name, kind in types.items() if kind == "other"}
        self._schema = self._arrow.schema([*self._types.items(), *answer_types.items()])

    def head(self) -> bytes:
        """The schema."""
        return bytes(self._schema.serialize())

    def body(self, rows: Sequence[Values], answers: Sequence[Sequence[Any]]) -> bytes:
        """One record batch. Raises UsageError: a value is not of the type that its column had before."""
        try:
            columns = [
                self._arrow.array([self._value(name, row.get(name)) for row in rows], kind)
                for name, kind in self._types.items()
            ]
            added = self._schema.types[len(columns) :]
            columns += [
                self._arrow.array(list(values), kind)
                for values, kind in zip(zip(*answers, strict=True), added, strict=True)
            ]
        except self._arrow.ArrowException as error:
            raise UsageError(f"a value does not fit into its column ({error}).") from None
        return bytes(self._arrow.RecordBatch.from_arrays(columns, schema=self._schema).serialize())

    def _value(self, name: str, value: Any) -> Any:
        if name not in self._as_json or value is None or isinstance(value, str):
            return value
        return _json(value)


class PackedWriter:
    """What another writes, packed by gzip: each chunk is a member of its own, which every reader takes for one file."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer

    def head(self) -> bytes:
        """The other's, packed."""
        head = self._writer.head()
        return gzip.compress(head, mtime=0) if head else b""

    def body(self, rows: Sequence[Values], answers: Sequence[Sequence[Any]]) -> bytes:
        """The other's, packed."""
        return gzip.compress(self._writer.body(rows, answers), 6, mtime=0)
