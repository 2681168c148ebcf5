"""Which model may begin its next call to Triton? One that has none under way; else the one that has the fewest.

`TRITON_CALLS` bounds the calls of all models of a worker together, for they share Triton's cores. But a model whose
calls hang would then keep the others waiting. So each may always have one call under way, and shares the rest.
"""

from typing import Protocol


class Caller(Protocol):
    """What has calls under way, and more that wait."""

    @property
    def calls_that_count(self) -> int:
        """How many are under way, but for those that the others do not make room for."""

    @property
    def waits_since(self) -> float | None:
        """When the sentence that waits longest came, by a clock that they share; None: none waits."""

    def begin_call(self) -> None:
        """Begin one call."""


class CallSlots:
    """Deals out the calls of several models. Belongs to one event loop."""

    def __init__(self, calls: int) -> None:
        """`calls`: under way at once, of all models together, as far as no model has more than one."""
        self._calls = calls
        self._callers: list[Caller] = []

    def join(self, caller: Caller) -> None:
        """Take part from now on."""
        self._callers.append(caller)

    def leave(self, caller: Caller) -> None:
        """Take part no more."""
        self._callers.remove(caller)

    def has_room(self, caller: Caller) -> bool:
        """Whether the caller may begin a call now."""
        own = caller.calls_that_count
        if len(self._callers) == 1:  # as in most gateways: this is asked for each sentence
            return own < max(1, self._calls)
        return own == 0 or sum(each.calls_that_count for each in self._callers) < self._calls

    def deal(self) -> None:
        """Let callers begin calls while there is room: who has the fewest first, of those who waits longest."""
        while waiting := [each for each in self._callers if each.waits_since is not None and self.has_room(each)]:
            min(waiting, key=lambda each: (each.calls_that_count, each.waits_since)).begin_call()
