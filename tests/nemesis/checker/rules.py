"""What the rules have in common: operations put together from their two entries, and the violations found."""

from dataclasses import dataclass
from typing import Any

from tests.nemesis.history import INFO, INVOKE, Entry

KEPT = 20
"""Violations of one rule that are told; all are counted."""
SENTENCES = ("classify", "batch")
"""Kinds of operations that ask for labels."""


@dataclass(frozen=True)
class Violation:
    """One place in the history at which a promise is broken."""

    rule: str
    at: float
    op: int
    what: str

    def __str__(self) -> str:
        return f"{self.at:.3f} s, operation {self.op}: {self.what} ({self.rule})"


@dataclass(slots=True)
class Operation:
    """One that is over; an `info` may yet have its effect."""

    invoked: Entry
    ended: Entry
    memory: Any = None
    """What the rule knew when it was invoked."""

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked."""
        return self.invoked.value

    @property
    def got(self) -> dict[str, Any]:
        """What came of it."""
        return self.ended.value


class Rule:
    """Sees every entry; `over` is called with each operation that is over."""

    name = "rule"

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.count = 0
        self._open: dict[int, tuple[Entry, Any]] = {}

    def take(self, entry: Entry) -> None:
        """See the next entry."""
        if entry.type == INVOKE:
            self._open[entry.op] = (entry, self.begun(entry))
            return
        if (found := self._open.pop(entry.op, None)) is not None:
            self.over(Operation(found[0], entry, found[1]))

    def begun(self, entry: Entry) -> Any:
        """Called with each invocation; what it returns is the operation's memory."""

    def over(self, operation: Operation) -> None:
        """Called with each operation that is over."""

    def finish(self) -> None:
        """Called after the last entry; what never ended is of unknown outcome."""
        for entry, memory in list(self._open.values()):
            self.over(Operation(entry, Entry(float("inf"), entry.process, entry.kind, INFO, entry.op), memory))
        self._open.clear()

    def broken(self, operation: Operation, what: str) -> None:
        """Note a violation."""
        self.count += 1
        if len(self.violations) < KEPT:
            at = min(operation.ended.at, operation.invoked.at + 1e6)
            self.violations.append(Violation(self.name, at, operation.invoked.op, what))


def answering_version(operation: Operation) -> int | None:
    """The version that answered, or is said to, where the caller named none: what switches are seen by."""
    got = operation.got
    if operation.ended.type != "ok" or operation.asked.get("version") is not None:
        return None
    if operation.invoked.kind in SENTENCES or operation.invoked.kind == "ready":
        return got.get("version")
    return got.get("current") if operation.invoked.kind == "models" else None
