"""What a label's field means: one label, several, or a number; read alike from a text, a JSON value and Parquet."""

import ast
import json
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from repository.manifest import ProblemType
from training.data.examples import DataError, Target, read_label
from training.data.records import describe

_EMPTY: tuple[Any, ...] = (None, "")


def task_of(values: Iterable[Any], separator: str | None) -> ProblemType:
    """Return what the labels of a table are, by the values of their column.

    Lists, or texts with a separator, are several labels; numbers that are not all whole are a regression; all else is
    one label a row. Texts that look like numbers, as all do in CSV, are a regression if they have a decimal point.
    """
    if separator is not None:
        return ProblemType.MULTI_LABEL
    kinds = {_kind(value) for value in values if value not in _EMPTY}
    if kinds == {"list"}:
        return ProblemType.MULTI_LABEL
    if "fraction" in kinds and kinds <= {"fraction", "whole"}:
        return ProblemType.REGRESSION
    return ProblemType.SINGLE_LABEL


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple) or (isinstance(value, str) and _json_list(value) is not None):
        return "list"
    if isinstance(value, bool):
        return "other"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "other"
    if not math.isfinite(number):
        return "other"
    # pandas writes a column of whole numbers that lacks one as 1.0, 2.0.
    return "whole" if number.is_integer() else "fraction"


def reader_of(task: ProblemType, separator: str | None) -> Callable[[Any], Target | None]:
    """Return what reads one value: it gives None for an empty one, and raises DataError for what is no such label."""
    if task is ProblemType.REGRESSION:
        return _number
    if task is ProblemType.MULTI_LABEL:
        return lambda value: _several(value, separator)
    return _one


def _one(value: Any) -> str | None:
    if value in _EMPTY:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        raise DataError("a list of labels, where every row has one; give --task multi if several can be true.")
    if not isinstance(value, str):
        raise DataError(f"{describe(value)}, where a label, a text, belongs.")
    return read_label(value) or None


def _several(value: Any, separator: str | None) -> tuple[str, ...]:
    if value in _EMPTY:
        return ()
    parts: Sequence[Any]
    if isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, str) and (listed := _json_list(value)) is not None:
        parts = listed
    elif isinstance(value, str) and separator is not None:
        parts = value.split(separator)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        parts = (value,)
    else:
        raise DataError(f"{describe(value)}, where a list of labels belongs.")
    return tuple(sorted({label for part in parts if (label := _one(part)) is not None}))


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise DataError(f"{describe(value)}, where a number belongs.")
    try:
        number = float(value)
    except ValueError:
        hint = " (a decimal point is needed)" if "," in str(value) else ""
        raise DataError(f"'{str(value)[:40]}' is no number{hint}.") from None
    if not math.isfinite(number):
        raise DataError(f"'{value}' is no finite number.")
    return number


def _json_list(text: str) -> list[Any] | None:
    """A list that stands in a text field: in JSON, or with Python's quotation marks as pandas writes it to CSV."""
    if not (text := text.strip()).startswith("[") or not text.endswith("]"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None
