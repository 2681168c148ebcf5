"""When is a request sent a second time because the first is slow? Counts and times alone: nothing here waits.

A slow answer is often slow by chance: a garbage collection, a queue, a machine that is being taken away. A second
request then tends to be answered before the first. It costs the server twice, so a budget bounds how many there are.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

HedgeAfter: TypeAlias = float | Literal["p95"] | None
"""Seconds after which a request is hedged, the 95th percentile of those before it, or never."""

LEAST_SEEN = 20
"""Answers of a size before their 95th percentile says something."""
KEPT = 200
"""Answers of a size that it is taken from: the last ones."""
MOST_SAVED = 10.0
"""Hedges that a quiet time may save up."""


class Hedging:
    """Of one client: how long an answer usually takes, and how many more hedges there may be."""

    def __init__(self, after: HedgeAfter, share: float) -> None:
        """
        Args:
            after: when a request is hedged.
            share: most hedges, as a share of all requests: 0.05 is 5 % more load at most, at any time.
        """
        self._after = after
        self._share = share
        self._saved = 0.0
        self._seen: dict[int, deque[float]] = {}

    def delay_s(self, texts: int) -> float | None:
        """Seconds after which a request with so many texts is hedged; None for not at all. Counts the request."""
        if self._after is None:
            return None
        self._saved = min(MOST_SAVED, self._saved + self._share)
        if self._after != "p95":
            return self._after
        seen = self._seen.get(_size(texts), ())
        if len(seen) < LEAST_SEEN:
            return None
        return sorted(seen)[int(0.95 * (len(seen) - 1))]

    def take(self) -> bool:
        """Whether there is room for a hedge, which is then taken."""
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True

    def answered(self, texts: int, seconds: float) -> None:
        """Note how long an answer took, from the first request on."""
        if self._after == "p95":
            self._seen.setdefault(_size(texts), deque(maxlen=KEPT)).append(seconds)


def _size(texts: int) -> int:
    """Requests of like size take a like time: 1, 2 to 3, 4 to 7 …"""
    return texts.bit_length()
