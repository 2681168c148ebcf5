"""Once a pinned version has answered, it alone answers until a command or a fault takes the pin or the version away."""

from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.rules import Operation, Rule, answering_version
from tests.nemesis.history import OK, Entry


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
        """The pin that this operation has to heed: one that had answered before it was invoked."""
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
        elif version == self._pinned and operation.invoked.at > self._pinned_at and self._seen_at is None:
            self._seen_at = operation.ended.at
