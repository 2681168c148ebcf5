"""A command that changes versions does so, unless a fault explains that it does not; a broken version is refused."""

from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.rules import Operation, Rule
from tests.nemesis.contents import BROKEN
from tests.nemesis.history import FAIL, OK

COMMANDS = ("publish", "rollback", "pin", "unpin", "retract", "prune")
NOTHING_OLDER = "nothing to roll back to"
"""How a rollback is refused where all versions answer the same."""


class Commands(Rule):
    """Looks at how commands end."""

    name = "commands"

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def over(self, operation: Operation) -> None:
        """Hold a command's end against what was asked."""
        if operation.invoked.kind not in COMMANDS:
            return
        kind, is_broken = operation.invoked.kind, operation.asked.get("content") == BROKEN
        if is_broken and operation.ended.type == OK:
            self.broken(operation, f"a broken version was published as {operation.got['version']}")
        is_refusal = is_broken or NOTHING_OLDER in operation.got.get("error", "")
        if operation.ended.type == FAIL and not is_refusal and not self._faults.explain(kind, operation):
            self.broken(operation, f"{kind} failed: {operation.got['error']}")
