"""JSON as RFC 8259 has it: Python's own writes and reads NaN and Infinity, which no other program does."""

import json
import math
from typing import Any, NoReturn

_SHOWN = 40
"""Characters of a name or a number that are repeated in a message."""


def strict_json(value: Any, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """The value as JSON; a number that is none (NaN, infinite) is written as null, which says that there is none."""
    return json.dumps(_numbers(value), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _numbers(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list | tuple) else value


class StrictJsonError(ValueError):
    """A text that is no such JSON; the message says what about it, as what follows the text's name in a sentence."""


def read_strict_json(text: str) -> Any:
    """Parse a text as Python's `json` does, but for what could not be written again as it was.

    Raises:
        StrictJsonError: no JSON; a key stands twice in an object, of which one value would be lost; NaN or Infinity; a
            number past all floats, which would become Infinity; a whole number longer, or more levels, than Python
            takes.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_not_infinite)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise StrictJsonError(f"is not JSON ({error.msg}, {line}column {error.colno})") from None
    except StrictJsonError:
        raise
    except ValueError:  # of int() alone: its time grows with the square of the digits
        raise StrictJsonError("holds a whole number of more digits than can be read") from None
    except RecursionError:
        raise StrictJsonError("is JSON of more levels than can be read") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise StrictJsonError(f"has the key {twice[:_SHOWN]} twice in one object")
    return record


def _no_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"holds {name}, which is no JSON")


def _not_infinite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise StrictJsonError(f"holds {number[:_SHOWN]}, which is too large for a number")
    return value
