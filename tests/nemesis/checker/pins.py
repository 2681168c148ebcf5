"""Once Triton serves the pinned version alone, it answers until a command or a fault takes the pin or the version away.

That the pinned version answers is no sign that the pin is in force: it may have answered before, while Triton was
loading a newer one, which then answers until Triton looks into the repository again.
"""

from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.rules import Operation, Rule, answering_version
from tests.nemesis.history import OK, Entry

FAILED = "failed"


LOOK_S = 1.0
"""After a pin, until what GET /models says of Triton is not from before it."""


class Pins(Rule):
    """Knows the pin in force, and whether it was seen to work."""

    name = "pins"

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self._pinned: int | None = None
        self._pinned_at = 0.0
        self._seen_at: float | None = None

    def begun(self, entry: Entry) -> tuple[int, float] | None:
        """The pin that this operation has to heed: one that was in force before it was invoked."""
        if entry.kind in ("pin", "unpin") or (entry.kind == "retract" and entry.value["version"] == self._pinned):
            self._pinned = self._seen_at = None
        if self._pinned is None or self._seen_at is None:
            return None
        return self._pinned, self._seen_at

    def over(self, operation: Operation) -> None:
        """Take a pin in, or hold an answer against it."""
        if operation.invoked.kind == "pin" and operation.ended.type == OK:
            self._pinned, self._pinned_at = operation.asked["version"], operation.ended.at
        version = answering_version(operation)
        if version is None or self._pinned is None:
            return
        if operation.memory is not None:
            pinned, seen_at = operation.memory
            is_in_force = pinned == self._pinned and not self._faults.may_move(pinned, seen_at, operation.ended.at)
            if is_in_force and version != pinned:
                self.broken(operation, f"version {version} answers, although version {pinned} is pinned")
        elif self._seen_at is None and operation.invoked.at > self._pinned_at + LOOK_S and self._is_alone(operation):
            self._seen_at = operation.ended.at

    def _is_alone(self, operation: Operation) -> bool:
        """Whether GET /models says that Triton has the pinned version, and no other but such as it could not load."""
        states = operation.got.get("states", {})
        return {int(version) for version, state in states.items() if state != FAILED} == {self._pinned}
