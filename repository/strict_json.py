"""JSON as RFC 8259 has it: Python's own writes NaN and Infinity, which no other program reads."""

import json
import math
from typing import Any


def strict_json(value: Any, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """The value as JSON; a number that is none (NaN, infinite) is written as null, which says that there is none."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
