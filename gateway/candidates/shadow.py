"""Shows the candidate a share of the live sentences after they were answered, and counts how its answers differ.

No answer waits for it. One sentence is asked at a time, alone, in moments in which no live one waits or is being
answered: Triton may have one instance. Under load the queue fills, and what does not fit is dropped. Where there is no
such moment, but answers come soon enough, a few sentences a second are asked all the same: else a busy service could
try nothing.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.audit import BUSY_SHARE_OF_DEADLINE
from gateway.batcher import Batcher
from gateway.candidates.comparison import compare
from gateway.candidates.counts import Counts
from gateway.classifier import Predictions
from gateway.encoding import Text, encode
from gateway.errors import GatewayError, NotReadyError, VersionGoneError
from gateway.loaded_version import LoadedVersion
from gateway.rows import Row
from gateway.tokenization import Side
from repository.inference import Float32Array
from repository.scripts import script_of

logger = logging.getLogger(__name__)

MOST_WAITING = 256
MOST_CHARACTERS = 1_000_000
"""Of the sentences that wait: more are dropped."""
TIMED_SHARE = 0.25
"""Of mirrored sentences, both versions are asked about so many, each alone, one right after the other, in either order:
what they take is compared on the same texts, on the same machine, at the same time."""
PAUSE_S = 0.01
STARVED_S = 0.2
"""How long a sentence waits for an idle moment: five a second are a hundredth of what two cores answer."""


class Mirrored(NamedTuple):
    """A sentence that was answered."""

    candidate: LoadedVersion
    current: LoadedVersion
    text: Text
    side: Side | None
    scores: Float32Array
    """`[labels]`, as they were answered."""


class Shadow:
    """The queue of mirrored sentences, and what works it off."""

    def __init__(
        self,
        batcher: Batcher,
        counts: Counts,
        share: float,
        deadline_s: float,
        threshold: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take what asks and counts.

        Args:
            batcher: asks both versions.
            counts: is told what was found.
            share: of the sentences that are mirrored.
            deadline_s: how long an answer may take.
            threshold: of the labels of a multi-label model.
            chance: a number from 0 to 1, another one each time.
        """
        self.share = share
        self._batcher = batcher
        self._counts = counts
        self._deadline_s = deadline_s
        self._threshold = threshold
        self._chance = chance
        self._waiting: deque[Mirrored] = deque()
        self._characters = 0
        self._arrived = asyncio.Event()

    def mirror(self, candidate: LoadedVersion, texts: Sequence[Text], side: Side | None, answered: Predictions) -> None:
        """Take a share of the sentences of a request that was answered; of those alone that were read at once."""
        if answered.version is candidate:
            return
        if self._waiting and self._waiting[-1].current is not answered.version:
            self.forget()  # another version is current now, and it is that one which the candidate is compared with
        windows = answered.windows or [1] * len(texts)
        for text, item, count in zip(texts, answered.items, windows, strict=True):
            if count > 1 or self._chance() >= self.share:
                continue
            length = _length(text)
            if len(self._waiting) >= MOST_WAITING or self._characters + length > MOST_CHARACTERS:
                self._counts.dropped(self._counts.of(candidate.number, answered.version.number))
                continue
            self._characters += length
            self._waiting.append(Mirrored(candidate, answered.version, text, side, item.scores.copy()))
            self._arrived.set()

    def forget(self) -> None:
        """The trial is over: what waits is of no use."""
        self._waiting.clear()
        self._characters = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self._arrived.wait()
            await self._spare()
            if not self._waiting:
                self._arrived.clear()
                continue
            mirrored = self._waiting.popleft()
            self._characters -= _length(mirrored.text)
            try:
                await self._ask(mirrored)
            except Exception:
                logger.exception("A mirrored sentence could not be looked at.")

    async def _ask(self, mirrored: Mirrored) -> None:
        """Ask the candidate, and for some sentences the current version again."""
        candidate, current = mirrored.candidate, mirrored.current
        tally = self._counts.of(candidate.number, current.number)
        is_timed, is_first = self._chance() < TIMED_SHARE, self._chance() < 0.5
        try:
            own_s = await self._time(current, mirrored) if is_timed and is_first else None
            try:
                row, seconds = await self._answer(candidate, mirrored)
            except (NotReadyError, VersionGoneError):
                raise  # that is not the candidate's doing
            except (GatewayError, TimeoutError) as error:
                await self._time(current, mirrored)  # raises, where it is the sentence's doing, or Triton's
                logger.warning("The candidate, version %d, failed on a mirrored sentence: %s", candidate.number, error)
                self._counts.failed(tally)
                return
            if is_timed:
                tally.time(seconds, own_s if own_s is not None else await self._time(current, mirrored))
        except (GatewayError, TimeoutError):
            self._counts.dropped(tally)
            return
        found = compare(mirrored.scores, current.manifest, row.scores, candidate.manifest, self._threshold)
        text = mirrored.text
        together = text.first if text.second is None else f"{text.first} | {text.second}"
        self._counts.compared(tally, together, script_of(together), found)

    async def _time(self, version: LoadedVersion, mirrored: Mirrored) -> float:
        return (await self._answer(version, mirrored))[1]

    async def _answer(self, version: LoadedVersion, mirrored: Mirrored) -> tuple[Row, float]:
        """A version's answer to the sentence alone, and how long its call took, in seconds."""
        (tokens,) = await encode(version, [mirrored.text], True, mirrored.side)
        await self._spare()
        start = time.perf_counter()
        async with asyncio.timeout(self._deadline_s):
            row = await self._batcher.submit(version.number, version.manifest, tokens.ids, tokens.mask)
        return row, time.perf_counter() - start - row.waited_s

    async def _spare(self) -> None:
        """Wait until nobody is being answered, or, for long, nobody waits for long."""
        starved_at = time.monotonic() + STARVED_S
        while not self._batcher.is_idle:
            is_soon = self._batcher.expected_wait_s() <= BUSY_SHARE_OF_DEADLINE * self._deadline_s
            if is_soon and time.monotonic() >= starved_at:
                return
            await asyncio.sleep(PAUSE_S)


def _length(text: Text) -> int:
    return len(text.first) + len(text.second or "")
