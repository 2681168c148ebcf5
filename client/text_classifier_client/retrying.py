"""Is a request tried again, and after how long? Answered here from numbers alone: nothing in this module waits.

A classification changes nothing on the server, so asking twice is always safe.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

PASSING = frozenset({429, 502, 503, 504})
"""Statuses of what may be over in a moment. All other refusals would be the same again."""
TOO_SLOW = 504
"""The server's own deadline passed: of several texts, fewer at a time may be answered in time."""


@dataclass(frozen=True)
class Failure:
    """One attempt that brought no answer.

    Attributes:
        told_s: seconds after which the server wants to be asked again; None where it does not say.
        dropped: whether the server closed the connection without a word, as it does with one that rested too long.
    """

    told_s: float | None = None
    dropped: bool = False


class Backoff:
    """How long to wait before each retry: exponentially longer, with full jitter."""

    def __init__(
        self,
        retries: int,
        base_s: float = 0.1,
        most_s: float = 10.0,
        most_told_s: float = 300.0,
        random_of: random.Random | None = None,
    ) -> None:
        """
        Args:
            retries: most retries of one request; 0 for none.
            base_s: bound of the first wait; it doubles with each one.
            most_s: where it stops doubling.
            most_told_s: longest wait that a server may ask for; past it the request fails at once.
            random_of: source of the jitter.
        """
        self.retries = retries
        self._base_s = base_s
        self._most_s = most_s
        self._most_told_s = most_told_s
        self._random = random_of or random.Random()

    def wait_s(self, failures: int, failure: Failure) -> float | None:
        """Seconds to wait before the request is sent again; None where it is given up.

        Between nothing and the bound, all alike likely ("full jitter"): clients that failed together do not come back
        together. What the server asked for is waited for in any case, and the jitter comes on top of it.

        Args:
            failures: how many attempts failed so far, 1 or more.
            failure: the last one.
        """
        if failures > self.retries or (failure.told_s or 0) > self._most_told_s:
            return None
        if failure.dropped and failures == 1:
            return 0.0  # nothing is known of the server but that it let go of an old connection
        bound = min(self._most_s, self._base_s * 2.0 ** min(failures - 1, 60))
        return (failure.told_s or 0.0) + self._random.uniform(0, bound)


def told_s(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """What `Retry-After` says, in seconds from now; None without one, or with one that cannot be read.

    A date is held against the server's own clock where the answer has a `Date`, so that a wrong clock here changes
    nothing.
    """
    value = headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        return float(value[:12])
    until = _timestamp(value)
    if until is None:
        return None
    since = _timestamp(headers.get("date", ""))
    return max(0.0, until - (now() if since is None else since))


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
