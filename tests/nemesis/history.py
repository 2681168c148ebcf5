"""A history: each operation is an entry when it is invoked and one when it is over, in the order of time."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
"""As in Jepsen: `fail` did not happen, of `info` nobody knows whether it did, or will."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The beginning or the end of an operation."""

    at: float
    """Seconds since the run began."""
    process: str
    """Who does it: one operation at a time."""
    kind: str
    type: str
    op: int
    """The same number for the beginning and the end."""
    value: dict[str, Any] = field(default_factory=dict)
    """What is asked; what came of it."""

    def line(self) -> str:
        """As it stands in the file."""
        return json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=False) + "\n"


class Recorder:
    """Writes entries as they come, and shows each to `reader`; may be used from many threads."""

    def __init__(self, file: IO[str], reader: Callable[[Entry], None]) -> None:
        self._file = file
        self._reader = reader
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._ops = 0

    def invoke(self, process: str, kind: str, **value: Any) -> int:
        """Begin an operation; returns its number."""
        with self._lock:
            self._ops += 1
            self._write(process, kind, INVOKE, self._ops, value)
            return self._ops

    def end(self, op: int, process: str, kind: str, outcome: str, **value: Any) -> None:
        """Say what came of it."""
        with self._lock:
            self._write(process, kind, outcome, op, value)

    def note(self, process: str, kind: str, **value: Any) -> None:
        """An observation: an operation that is over as it begins."""
        self.end(self.invoke(process, kind), process, kind, OK, **value)

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def _write(self, process: str, kind: str, type_: str, op: int, value: dict[str, Any]) -> None:
        # The time is taken under the lock: so the file is in its order.
        entry = Entry(round(self.elapsed_s(), 6), process, kind, type_, op, value)
        self._file.write(entry.line())
        self._reader(entry)


def read(path: Path) -> Iterator[Entry]:
    """The entries of a file, one by one; a last line that was cut off is left out."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield Entry(**json.loads(line))
