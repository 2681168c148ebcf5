"""Which lines does an input reach? By that, of many inputs the few are kept that reach all that the many do."""

import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.targets import Target
from tests.places import ROOT

Step = tuple[str, int, int]
"""A file, and two of its lines that were run one after the other."""


def steps_of(target: Target, data: bytes) -> set[Step]:
    """What one input reaches in the target's files."""
    watched = {str(ROOT / name) for name in target.files}
    found: set[Step] = set()

    def enter(frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if name not in watched:
            return None
        before = 0

        def line(inner: FrameType, _event: str, _argument: Any) -> Callable[..., Any]:
            nonlocal before
            found.add((name, before, inner.f_lineno))
            before = inner.f_lineno
            return line

        return line(frame, "", None)

    sys.settrace(enter)
    try:
        target.check(data)
    finally:
        sys.settrace(None)
    return found


def fewest(target: Target, inputs: Iterable[bytes], first: Iterable[bytes] = ()) -> list[bytes]:
    """Short inputs first, those that reach what no one before, nor any of `first`, does; what fails is left out."""
    kept: list[bytes] = []
    reached: set[Step] = set()
    for data in first:
        reached |= steps_of(target, data)
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        try:
            steps = steps_of(target, data)
        except AssertionError:
            continue
        if steps - reached:
            reached |= steps
            kept.append(data)
    return kept


def share(target: Target, inputs: Iterable[bytes]) -> dict[str, tuple[int, int]]:
    """Of each file, the lines of its functions that the inputs reach, and how many there are."""
    reached: set[Step] = set()
    for data in inputs:
        reached |= steps_of(target, data)
    counts = {}
    for name in target.files:
        path = str(ROOT / name)
        lines = _lines(compile((ROOT / name).read_text(encoding="utf-8"), path, "exec"), is_function=False)
        counts[name] = (len(lines & {line for file, _, line in reached if file == path}), len(lines))
    return counts


def _lines(code: CodeType, is_function: bool) -> set[int]:
    """Lines with code in them, of functions alone: what runs at the import is reached by any input."""
    own = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno} if is_function else set()
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_class = inner.co_name[:1].isupper() and not inner.co_flags & 0x2  # a function's names are fast locals
            own |= _lines(inner, is_function=not is_class)
    return own
