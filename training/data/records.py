"""Tables whose rows are records: JSON Lines, a JSON list of objects, Parquet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repository.strict_json import StrictJsonError, read_strict_json
from training.data.examples import DataError
from training.data.file_text import decode, split_lines

_SHOWN = 40
"""Characters of a number that are repeated in a message."""


@dataclass(frozen=True)
class Records:
    """The rows of a file, by column name."""

    unit: str
    """What a row is called: `line` of JSON Lines, `item` of a list, `row` of Parquet."""
    columns: list[str]
    load: Callable[[Sequence[str]], Iterable[tuple[int, dict[str, Any]]]]
    """Given the columns that are needed, returns each row's number, from 1, and values; a key may be lacking."""
    has_header: bool = False


def read_json(path: Path, content: bytes) -> Records:
    """Read one JSON object a line, or one list of objects.

    Raises:
        DataError: not text in UTF-8 or UTF-16, or no such JSON; the message names the line.
    """
    text = decode(path, content, lambda before: (f"line {len(split_lines(before))}", ""))
    if text.lstrip().startswith("["):
        unit, parsed = "item", list(enumerate(_parse(path, "", text), start=1))
    else:
        unit = "line"
        lines = enumerate(split_lines(text), start=1)
        parsed = [(number, _parse(path, f": line {number}", line)) for number, line in lines if line.strip()]
    for number, record in parsed:
        if not isinstance(record, dict):
            raise DataError(
                f"{path}: {unit} {number} is {describe(record)}, where an object with the columns is needed."
            )
    columns = dict.fromkeys(name for _, record in parsed for name in record)
    return Records(unit, list(columns), lambda _: parsed)


def _parse(path: Path, where: str, text: str) -> Any:
    try:
        return read_strict_json(text)
    except StrictJsonError as error:
        begins_object = where == ": line 1" and text.strip() == "{"
        hint = "; one object a line, or one list of them, is needed" if begins_object else ""
        raise DataError(f"{path}{where} {error}{hint}.") from None


def read_parquet(path: Path, content: bytes) -> Records:
    """Read a Parquet file's columns.

    Raises:
        DataError: it is broken, or pyarrow is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise DataError(f"{path}: Parquet is read by pyarrow: run `pip install pyarrow`, or give a CSV file.") from None
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is no whole Parquet file ({_first_line(error)}).") from None

    def load(names: Sequence[str]) -> Iterable[tuple[int, dict[str, Any]]]:
        found = [name for name in names if name in file.schema_arrow.names]
        number = 0
        try:
            for batch in file.iter_batches(columns=found):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
        except UnicodeDecodeError:
            raise DataError(f"{path}: a text after row {number} is not in UTF-8.") from None
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path} is no whole Parquet file ({_first_line(error)}).") from None

    return Records("row", list(file.schema_arrow.names), load)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def describe(value: Any) -> str:
    """Return in words what a JSON value is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {str(value)[:_SHOWN]}"
    return {list: "a list", dict: "an object", str: "a text", type(None): "null"}.get(type(value), "no text")
