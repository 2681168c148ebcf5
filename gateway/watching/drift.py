"""How far have the sentences of the last hour moved from those that the version was trained on?

The counts that are compared are the sums over all workers, which each worker reads for itself: whichever answers a
scrape, it tells of all sentences, and one that was started anew tells of those since its start. A rule in Prometheus
could sum over several gateways, too, but neither `GET /models` nor the page could then tell what it found; each gateway
tells of its own sentences, and its counters are there to be summed.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.watching.counters import Counts
from repository.stability import limit, stability_index

FEWEST = 100
"""Sentences from which on anything is told."""
SNAPSHOTS = 12
"""Of a window: it slides by a twelfth of itself."""


@dataclass(frozen=True)
class Shift:
    """How far one thing has moved."""

    of: str
    index: float
    """Population stability index."""
    limit: float
    """Above it, more moved than chance explains (`repository.stability`)."""

    @property
    def is_large(self) -> bool:
        """Whether somebody should look."""
        return self.index > self.limit


@dataclass(frozen=True)
class Drift:
    """What is told of the current version's sentences."""

    sentences: int
    """In the window."""
    minutes: float
    """How far back the window goes now."""
    has_profile: bool
    shifts: list[Shift] = field(default_factory=list)
    unknown_share: float | None = None
    """Of the window's tokens; None without any."""
    profile_unknown_share: float | None = None


class Window:
    """The counts of the last so many seconds, as differences of totals that only grow."""

    def __init__(self, seconds: float, totals: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with an empty window.

        Args:
            seconds: its length.
            totals: what was counted so far.
            clock: the time in seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self._snapshots: deque[tuple[float, Counts]] = deque()
        self.begin(totals)

    def begin(self, totals: Counts) -> None:
        """Forget what was before: another version answers."""
        self._snapshots.clear()
        self._snapshots.append((self._clock(), totals))

    def slide(self, totals: Counts) -> None:
        """Let go what is too old; called more often than the window is long."""
        now = self._clock()
        if now - self._snapshots[-1][0] >= self._seconds / SNAPSHOTS:
            self._snapshots.append((now, totals))
        # The first one is where the window begins: it goes once the next is old enough for that.
        while len(self._snapshots) > 1 and now - self._snapshots[1][0] >= self._seconds:
            self._snapshots.popleft()

    def counts(self, totals: Counts) -> Counts:
        """What was counted within the window."""
        before = self._snapshots[0][1]
        return {
            aspect: {
                name: count - before.get(aspect, {}).get(name, 0.0)
                for name, count in bins.items()
                if count > before.get(aspect, {}).get(name, 0.0)
            }
            for aspect, bins in totals.items()
        }

    @property
    def length_s(self) -> float:
        """How far back it goes now."""
        return self._clock() - self._snapshots[0][0]


def shifts(expected: Mapping[str, Mapping[str, float]], counts: Counts) -> list[Shift]:
    """How far each thing has moved that the profile tells of; nothing of fewer than `FEWEST` sentences.

    Args:
        expected: the profile's counts by aspect and bin.
        counts: those of the window.
    """
    found = []
    for of, before in expected.items():
        now = counts.get(of, {})
        if sum(now.values()) < FEWEST or not sum(before.values()):
            continue
        bins = sorted({*before, *now})
        pairs = [before.get(name, 0.0) for name in bins], [now.get(name, 0.0) for name in bins]
        found.append(Shift(of, stability_index(*pairs), limit(*pairs)))
    return found
