"""Parquet, read a few thousand rows at a time, and written from what a run has collected."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.batch.errors import UsageError
from gateway.batch.rows import CHUNK_ROWS, Broken, BrokenRowError, Chunk, Place, TextColumns, Values

GROUP_ROWS = 65_536
"""Rows of one row group."""
GROUP_BYTES = 2**26


def arrow() -> Any:
    """Return pyarrow. Raises UsageError: it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("Parquet is read and written by pyarrow: run `pip install pyarrow`.") from None
    return pyarrow


class ParquetReader:
    """A file in Parquet."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        """Raises UsageError: it can't be read, or pyarrow is not installed."""
        self._arrow = arrow()
        self._path = path
        try:
            self._file = self._arrow.parquet.ParquetFile(path)
        except FileNotFoundError:
            raise UsageError(f"{path} can't be read: No such file or directory.") from None
        except (self._arrow.ArrowException, OSError) as error:
            raise UsageError(f"{path} is no whole Parquet file ({_first_line(error)}).") from None
        schema = self._file.schema_arrow
        self.columns: list[str] = list(schema.names)
        # Dictionaries would have to be written apart from the rows.
        self.types: dict[str, Any] = {
            name: kind.value_type if self._arrow.types.is_dictionary(kind) else kind
            for name, kind in zip(schema.names, schema.types, strict=True)
        }
        self.count: int = self._file.metadata.num_rows
        twins = [name for name in self.columns if self.columns.count(name) > 1]
        if twins:
            raise UsageError(f"{path}: the column {twins[0]} stands twice; which of them is meant?")

    def chunks(self, start: Place, text_of: TextColumns, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows behind `start`."""
        chunk = Chunk(most_rows=rows)
        number = start.row
        for values in self._rows(start.row):
            number += 1
            try:
                chunk.add(number, values, text_of.text(values))
            except BrokenRowError as error:
                chunk.broken.append(Broken(number, str(error), values))
            if chunk.is_full:
                chunk.end = Place(number)
                yield chunk
                chunk = Chunk(most_rows=rows)
        if chunk.rows or chunk.broken:
            chunk.end = Place(number)
            yield chunk

    def _rows(self, skipped: int) -> Iterator[Values]:
        try:
            for group in range(self._file.num_row_groups):
                size = self._file.metadata.row_group(group).num_rows
                if skipped >= size:
                    skipped -= size
                    continue
                for batch in self._file.iter_batches(CHUNK_ROWS, row_groups=[group]):
                    if skipped >= len(batch):
                        skipped -= len(batch)
                        continue
                    yield from batch.slice(skipped).to_pylist()
                    skipped = 0
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self._path} is no whole Parquet file ({_first_line(error)}).") from None


def arrow_type(said: Any) -> Any:
    """Return an Arrow type for what a reader says of a column: one, or the name of what JSON holds."""
    pyarrow = arrow()
    if not isinstance(said, str):
        return said
    named = {"bool": pyarrow.bool_(), "int64": pyarrow.int64(), "double": pyarrow.float64()}
    return pyarrow.list_(pyarrow.string()) if said == "strings" else named.get(said, pyarrow.string())


def write_parquet(collected: Path, output: Path) -> None:
    """Write a Parquet file of an Arrow stream, a row group at a time.

    Raises:
        OSError: the disk is full.
    """
    pyarrow = arrow()
    with (
        pyarrow.OSFile(str(collected)) as file,
        pyarrow.ipc.open_stream(file) as stream,
        pyarrow.parquet.ParquetWriter(output, stream.schema) as writer,
    ):
        waiting: list[Any] = []
        for batch in stream:
            waiting.append(batch)
            if _is_group(waiting):
                writer.write_table(pyarrow.Table.from_batches(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting, stream.schema))


def _is_group(batches: Sequence[Any]) -> bool:
    return sum(map(len, batches)) >= GROUP_ROWS or sum(batch.nbytes for batch in batches) >= GROUP_BYTES


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
