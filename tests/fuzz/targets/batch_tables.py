"""`gateway/batch`: any file gives rows, broken rows or one known error, the same ones wherever reading begins.

Input: a byte for the kind of file, then its content.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gateway.batch.rows
from gateway.batch.delimited import DelimitedReader
from gateway.batch.errors import UsageError
from gateway.batch.formats import Format
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.rows import Broken, Chunk, Place, TextColumns
from gateway.batch.source import Source
from gateway.batch.tables import DelimitedWriter, JsonLinesWriter
from tests.fuzz.table_bytes import CSV_WORDS, JSON_WORDS, plain_text, readings

FILES = (
    "gateway/batch/delimited.py",
    "gateway/batch/json_lines.py",
    "gateway/batch/rows.py",
    "gateway/batch/source.py",
    "gateway/batch/tables.py",
    "repository/strict_json.py",
)
WORDS = (*CSV_WORDS, *JSON_WORDS)
KINDS = (Format.CSV, Format.TSV, Format.JSONL)
_ROWS = 3
"""Of a chunk, so that a short file has several."""
_folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def check(data: bytes) -> None:
    """Raises AssertionError: a reader breaks a promise."""
    kind = KINDS[data[0] % len(KINDS)] if data else Format.CSV
    path = Path(_folder.name, "table")
    path.write_bytes(data[1:])
    with patch.object(gateway.batch.rows, "CHUNK_ROWS", _ROWS):
        chunks, columns, fault = _read(path, kind)
        for number, chunk in enumerate(chunks[:-1]):
            rest, _, later = _read(path, kind, chunk.end)
            assert _contents(rest) == _contents(chunks[number + 1 :]), f"reading on from {chunk.end} is another reading"
            assert (later is None) == (fault is None)
        if kind is not Format.JSONL and fault is None and not any(chunk.broken for chunk in chunks):
            _as_python_reads_it(data[1:], columns, chunks)
        if columns and chunks:
            _what_is_written_is_read(path, kind, chunks)
        _texts_come_back(path, kind, plain_text(data[1:]))


@contextmanager
def _reader(path: Path, kind: Format) -> Iterator[Any]:
    source = Source(path)
    try:
        yield JsonLinesReader(source) if kind is Format.JSONL else DelimitedReader(source, kind)
    finally:
        source.close()


def _read(path: Path, kind: Format, start: Place = Place()) -> tuple[list[Chunk], list[str], str | None]:  # noqa: B008
    """All chunks behind `start`, the columns, and the error that ended it."""
    chunks: list[Chunk] = []
    columns: list[str] = []
    try:
        with _reader(path, kind) as reader:
            columns = list(reader.columns)
            if kind is Format.JSONL and not start.offset:
                reader.learn(lambda _: None)
                columns = list(reader.columns)
            chunks.extend(reader.chunks(start, TextColumns(tuple(columns[:1]))))
    except UsageError as error:
        fault = str(error)
    else:
        return chunks, columns, None
    assert str(path) in fault
    return chunks, columns, fault


def _contents(chunks: list[Chunk]) -> list[tuple[int, Any]]:
    rows = [zip(chunk.numbers, chunk.rows, strict=True) for chunk in chunks]
    broken: list[tuple[int, Any]] = [(each.number, _without_place(each)) for chunk in chunks for each in chunk.broken]
    return sorted([*itertools.chain(*rows), *broken], key=lambda row: row[0])


def _without_place(broken: Broken) -> tuple[str, Any]:
    return broken.reason, broken.record


def _as_python_reads_it(content: bytes, columns: list[str], chunks: list[Chunk]) -> None:
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        return
    if text.lstrip("\r\n\t \x0b\x0c")[:5].lower().lstrip('"').startswith("sep="):
        return  # no row of the table, which `csv` does not know
    if not any(columns):
        return  # a header of `""` alone, which is a blank line to `_from_header`
    found = [[row[name] for name in columns] for chunk in chunks for row in chunk.rows]
    for header, *rows in filter(None, (_from_header(rows) for rows in readings(text))):
        if [name.strip() for name in header] == columns and [row[: len(columns)] for row in rows] == found:
            return
    raise AssertionError(f"no reading by csv gives {columns} and {found}")


def _from_header(rows: list[list[str]]) -> list[list[str]]:
    """The rows from the first on that is not blank."""
    return list(itertools.dropwhile(lambda row: not any(cell.strip() for cell in row), rows))


def _what_is_written_is_read(path: Path, kind: Format, chunks: list[Chunk]) -> None:
    """Rows that are written again, as they are after scoring, are read as the same rows."""
    rows = [row for chunk in chunks for row in chunk.rows]
    if not rows or kind is not Format.JSONL:
        return
    writer = JsonLinesWriter([])
    path.write_bytes(writer.head() + writer.body(rows, [()] * len(rows)))
    again, _, fault = _read(path, kind)
    assert fault is None
    assert [row for chunk in again for row in chunk.rows] == rows


def _texts_come_back(path: Path, kind: Format, text: str) -> None:
    """Texts that are written to a table are read as they were."""
    rows = [{"text": part, "id": str(number)} for number, part in enumerate(text.split("\x1e"))]
    writer: Any = JsonLinesWriter(["label"])
    if kind is not Format.JSONL:
        writer = DelimitedWriter(kind, ["text", "id"], ["label"], "|")
    path.write_bytes(writer.head() + writer.body(rows, [("a",)] * len(rows)))
    chunks, columns, fault = _read(path, kind)
    assert (columns, fault) == (["text", "id", "label"], None)
    assert [row for chunk in chunks for row in chunk.rows] == [{**row, "label": "a"} for row in rows]
