"""When may a job ask Triton, and for how much at a time? In moments in which nobody else is being answered.

Triton computes a call to its end, so what a job has begun is in the way of a sentence that comes just then. How much
in the way is decided here: by how large a call of a job may be, and by which share of the time there may be one.
Both are generous while nobody asks for anything else, and small as soon as somebody does.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

QUIET_S = 1.0
"""So long after the last call of others they are taken to have stopped: calls are then as large as those of requests
under load may be, which a first sentence that comes may find before it."""
BUSY_CALL_S = 0.005
"""How long a call of a job should take while others ask."""
REST = 4.0
"""After a call while others ask, a job rests for so many times as long as it took: what comes in the meantime meets no
call of a job, which takes a fifth of one core at most. A job that had no turn for long gets none for that: it waits."""
PAUSE_S = 0.002
"""How often it is looked whether the moment has come; a call takes longer."""
FIRST_TOKENS = 64
"""Of a call while others ask, before anybody knows how long calls take."""
FADE = 0.9
"""Share of what was known of the pace that a call leaves in place."""


class Others(Protocol):
    """What answers requests, such as a model's batcher."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits or is being answered."""

    @property
    def calls_begun(self) -> int:
        """How many calls to Triton it has begun."""


class Lane:
    """Lets the calls of jobs through. Belongs to one event loop."""

    def __init__(self, others: Callable[[], Iterable[Others]], calls: int, tokens: int) -> None:
        """Take who comes first.

        Args:
            others: all who answer requests; there may be other ones each time.
            calls: of jobs, under way at once while nobody else asks; one else.
            tokens: most of one call, padding included.
        """
        self._others = others
        self._calls = calls
        self._most_tokens = tokens
        self._under_way = 0
        self._seen = -1
        self._met_at = time.monotonic()
        self._rests_until = 0.0
        self._pace: float | None = None  # seconds a token
        self._one_looks = asyncio.Lock()

    async def spare(self) -> None:
        """Wait for a moment in which nobody else is being answered."""
        while not self._is_idle():
            await asyncio.sleep(PAUSE_S)

    async def turn(self) -> int:
        """Wait until a call may begin, which has to be told of by `ended`; returns how many tokens it may have."""
        async with self._one_looks:
            while not self._may_begin():
                await asyncio.sleep(PAUSE_S)
            self._under_way += 1
            return self._tokens()

    def ended(self, tokens: int, took_s: float) -> None:
        """A call is over; `tokens` is 0 for one that nothing can be learned from."""
        self._under_way -= 1
        now = time.monotonic()
        self._is_idle()
        if tokens:
            pace = took_s / tokens
            self._pace = pace if self._pace is None else FADE * self._pace + (1 - FADE) * pace
        if not self._is_quiet(now):
            self._rests_until = now + REST * took_s

    def _is_idle(self) -> bool:
        """Whether nobody is being answered; remembers when somebody last was."""
        begun, idle = 0, True
        for each in self._others():
            begun += each.calls_begun
            idle = idle and each.is_idle
        if begun != self._seen or not idle:
            self._seen = begun
            self._met_at = time.monotonic()
        return idle

    def _is_quiet(self, now: float) -> bool:
        return now - self._met_at > QUIET_S

    def _may_begin(self) -> bool:
        if not self._is_idle():
            return False
        now = time.monotonic()
        if self._is_quiet(now):
            return self._under_way < self._calls
        return self._under_way == 0 and now >= self._rests_until

    def _tokens(self) -> int:
        if self._is_quiet(time.monotonic()):
            return self._most_tokens
        if self._pace is None:
            return min(FIRST_TOKENS, self._most_tokens)
        return max(1, min(self._most_tokens, int(BUSY_CALL_S / self._pace)))
