"""Who has seen a switch never sees the version before it again, unless a command or a fault took the newer one away.

A switch is acknowledged by any answer that shows it: a header of /classify, /health/ready, or GET /models. What was
asked after such an answer had come is answered by that version or a newer one. `publish` itself acknowledges no switch:
it returns before Triton has loaded the version.
"""

import math
from dataclasses import dataclass

from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.rules import Operation, Rule, answering_version
from tests.nemesis.history import OK, Entry

KEPT = 8
"""Newest versions whose last acknowledgement is kept."""
UNPINNED_S = 30.0
"""After `unpin` has returned: by then the newest version answers again (deploy/slo.yaml)."""


@dataclass(slots=True)
class _Excuse:
    begin: float
    end: float
    version: int | None
    """None: any."""


class Order(Rule):
    """Keeps, of each version that answered, when the last answer of it that has come was asked for."""

    name = "order"

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self._seen: dict[int, float] = {}
        self._excuses: list[_Excuse] = []

    def begun(self, entry: Entry) -> dict[int, float]:
        """What is acknowledged by now; and what a command may take away from now on."""
        if entry.kind == "retract":
            self._excuses.append(_Excuse(entry.at, math.inf, entry.value["version"]))
        elif entry.kind == "pin":
            self._excuses.append(_Excuse(entry.at, math.inf, None))
        return dict(self._seen)

    def over(self, operation: Operation) -> None:
        """Compare an answer with what was acknowledged before it was asked for."""
        if operation.invoked.kind == "unpin" and operation.ended.type == OK:
            for excuse in self._excuses:
                if excuse.version is None:
                    excuse.end = min(excuse.end, operation.ended.at + UNPINNED_S)
        version = answering_version(operation)
        if version is None:
            return
        for newer, asked_at in operation.memory.items():
            if newer > version and not self._excused(newer, asked_at, operation.ended.at):
                what = f"version {version} answers, although version {newer} had answered by {asked_at:.3f} s"
                self.broken(operation, what)
                break
        self._seen[version] = max(self._seen.get(version, 0.0), operation.invoked.at)
        if len(self._seen) > KEPT:
            del self._seen[min(self._seen)]

    def _excused(self, version: int, since: float, until: float) -> bool:
        return self._faults.may_move(version, since, until) or any(
            excuse.begin <= until and excuse.end >= since and excuse.version in (None, version)
            for excuse in self._excuses
        )
