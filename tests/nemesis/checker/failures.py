"""Requests fail in the documented ways alone, and only where a fault explains it; no request hangs."""

from tests.nemesis.checker.faults import CONNECTION, MODEL, SLOW, UNREADY, Faults
from tests.nemesis.checker.rules import Operation, Rule
from tests.nemesis.history import FAIL, INFO

ASKING = ("classify", "batch", "models", "ready")
LATE_S = 20.0
"""What a busy machine may add to the deadline before an answer is called missing."""
TOO_BUSY = "Too busy"
"""How the refusal of a full queue begins: a matter of load, with no fault."""
GONE = "no longer served"
"""What is said of a version that was named and went while it was asked."""


class Failures(Rule):
    """Looks at each request that was not answered."""

    name = "failures"

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def over(self, operation: Operation) -> None:
        """Hold a refusal against the table of statuses, and a broken connection against the faults."""
        if operation.invoked.kind not in ASKING:
            return
        if operation.ended.type == INFO:
            took = operation.got.get("waited_s", 0.0)
            need = SLOW if took > LATE_S else CONNECTION
            if operation.got and not self._explained(need, operation):
                self.broken(operation, f"no answer: {operation.got.get('error')} after {took:.1f} s")
        elif operation.ended.type == FAIL and (what := self._problem(operation)):
            self.broken(operation, f"{operation.got['status']} {operation.got['error']!r}: {what}")

    def _problem(self, operation: Operation) -> str:
        """What is wrong with a refusal; empty if nothing is."""
        got, status = operation.got, operation.got["status"]
        took = operation.ended.at - operation.invoked.at
        if status == 503:
            if not got["retry_after"] and operation.invoked.kind != "ready":
                return "it does not say when to try again"
            is_gone = operation.asked.get("version") is not None and GONE in got["error"]
            is_known = got["error"].startswith(TOO_BUSY) or is_gone or self._explained(UNREADY, operation)
            return "" if is_known else "no fault explains it"
        if status == 504:
            return "" if took >= 0.9 * got["deadline_s"] else "it came before the deadline"
        if status == 502:
            return "" if self._explained(MODEL, operation) else "no fault explains it"
        if status == 422:
            return "" if operation.asked.get("version") is not None else "nothing was wrong with the request"
        return "nothing of the kind is documented"

    def _explained(self, what: str, operation: Operation) -> bool:
        return self._faults.explain(what, operation)
