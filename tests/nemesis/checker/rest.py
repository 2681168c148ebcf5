"""At rest all views agree, the newest or pinned version answers, and nothing is left behind."""

from tests.nemesis.checker.rules import Operation, Rule
from tests.nemesis.history import OK


class Rest(Rule):
    """Looks at what was seen once all was quiet, and after the end."""

    name = "rest"

    def over(self, operation: Operation) -> None:
        """Compare the views, or say what is left."""
        if operation.ended.type != OK:
            return
        if operation.invoked.kind == "rest":
            self._compare(operation)
        elif operation.invoked.kind == "left" and (left := operation.got["left"]):
            self.broken(operation, f"left behind: {', '.join(left)}")

    def _compare(self, operation: Operation) -> None:
        got = operation.got
        disk, pinned = sorted(got["disk"]), got["pinned"]
        served = [pinned] if pinned is not None else disk[-2:]
        for view in ("copy", "triton", "models"):
            if got.get(view) is not None and sorted(got[view]) != served:
                self.broken(operation, f"{served} should be served, and {view} has {sorted(got[view])}")
        for view in ("current", "answered"):
            if got[view] != served[-1]:
                self.broken(operation, f"version {served[-1]} should answer, and by {view} {got[view]} does")
