"""Which faults were in force when, and what each of them explains."""

import math
from dataclasses import dataclass

from tests.nemesis.checker.rules import SENTENCES, Operation, Rule
from tests.nemesis.history import OK, Entry

UNREADY, CONNECTION, SLOW, MODEL = "unready", "connection", "slow", "model"
"""What a fault may explain: 503; a connection that breaks; an answer past its deadline; 502. And, by its name, that a
command fails."""
ALL = "all"
GRACE_S = 10.0
"""After the first answer that follows a fault's end: what still hangs from it comes out."""


@dataclass(slots=True)
class Fault:
    """One fault. It is over for callers a while after the first answer that was asked for after its end."""

    name: str
    begin: float
    explains: frozenset[str]
    moves: object
    """Versions that may stop answering by it, for good: a list, or ALL while it is in force."""
    end: float = math.inf
    recovered: float = math.inf

    def explained(self, what: str, operation: Operation) -> bool:
        """Whether it explains this of an operation."""
        until = self.recovered + GRACE_S if math.isfinite(self.recovered) else math.inf
        return what in self.explains and self.begin <= operation.ended.at and until >= operation.invoked.at


class Faults(Rule):
    """The faults so far; not a rule by itself, but what other rules look things up in."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Fault] = []
        self._by_op: dict[int, Fault] = {}
        self._felt: list[Fault] = []

    def begun(self, entry: Entry) -> None:
        """A fault is in force from the moment at which it is begun."""
        if entry.kind == "fault":
            value = entry.value
            fault = Fault(value["fault"], entry.at, frozenset(value["explains"]), value.get("moves", []))
            self.all.append(fault)
            self._by_op[entry.op] = fault

    def over(self, operation: Operation) -> None:
        """A fault's end, or the answer by which callers have recovered."""
        if (fault := self._by_op.pop(operation.invoked.op, None)) is not None:
            fault.end = operation.ended.at
            self._felt.append(fault)
        elif operation.invoked.kind in SENTENCES and operation.ended.type == OK and operation.asked["version"] is None:
            for fault in [fault for fault in self._felt if fault.end < operation.invoked.at]:
                fault.recovered = operation.ended.at
                self._felt.remove(fault)

    def explain(self, what: str, operation: Operation) -> bool:
        """Whether some fault explains this of an operation."""
        return any(fault.explained(what, operation) for fault in reversed(self.all))

    def quiet_since(self) -> float:
        """From when on no fault has been in force, nor been felt; infinity while one is."""
        return max((fault.recovered for fault in self.all), default=0.0)

    def may_move(self, version: int, since: float, until: float) -> bool:
        """Whether some fault between these moments may have made the version stop answering."""
        return any(
            fault.begin <= until and (fault.end >= since if fault.moves == ALL else version in fault.moves)  # type: ignore[operator]
            for fault in self.all
        )
