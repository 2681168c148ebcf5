"""How fast Triton works off a backlog: what a sentence that comes now would wait."""

import math

WINDOW_CALLS = 16
"""Calls over which the pace is averaged: a second or two, so that one pause of the machine is not taken for it."""

SURE_CALLS = 4
"""Calls before the pace is believed. The first after a start are of one sentence each and find everything cold: by them
alone, a backlog of thirty short sentences looked longer than a second."""


class Pace:
    """Seconds a token, measured over the last calls that ended while sentences were waiting.

    Calls of an idle service say nothing of its pace: they carry few tokens, and nobody waited for their end. Times
    and tokens are summed apart and fade together, so that a call counts by its size.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._tokens = 0.0
        self._calls = 0
        self._since = math.inf

    def backlog_begins(self, now: float) -> None:
        """Sentences have begun to wait for a free call (nothing new if some waited already)."""
        self._since = min(self._since, now)

    def backlog_ends(self) -> None:
        """Nothing waits any more."""
        self._since = math.inf

    def call_ended(self, now: float, tokens: int) -> None:
        """A call with so many tokens was answered or given up. Calls overlap: it cost the time since the last end."""
        if self._since < now:
            fade = 1 - 1 / WINDOW_CALLS
            self._seconds = fade * self._seconds + now - self._since
            self._tokens = fade * self._tokens + tokens
            self._calls += 1
            self._since = now

    def wait_s(self, waiting_tokens: int) -> float:
        """How long so many tokens take; 0 until `SURE_CALLS` calls have ended in a backlog."""
        if self._calls < SURE_CALLS or not self._tokens:
            return 0.0
        return waiting_tokens * self._seconds / self._tokens
