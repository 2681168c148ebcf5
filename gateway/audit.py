"""Asks the model, in the background, about some sentences that the student answered, and counts how often it disagrees.

No answer waits for it: one sentence is under way at a time, and none while many wait. Which sentences are looked at is
decided before anybody knows who answers them, so that what is counted is a share of all sentences, as the promise is.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from gateway.batcher import Batcher
from gateway.encoding import Tokens
from gateway.errors import GatewayError
from gateway.students import Student

logger = logging.getLogger(__name__)

MOST_WAITING = 256
"""Sentences kept to be asked; past that, none is sampled."""

BUSY_SHARE_OF_DEADLINE = 0.05
"""While a sentence would wait longer than this part of its deadline, nothing is asked."""
PAUSE_S = 0.05


class AuditCounts(Protocol):
    """What is told of the audit, such as the metrics."""

    def audited(self, disagrees: bool) -> None:
        """One more sampled sentence was counted."""

    def not_audited(self) -> None:
        """One was not: too many wait, the bar has risen meanwhile, or the model did not answer it."""


class _Sampled(NamedTuple):
    student: Student
    tokens: Tokens
    label: int
    raised: int
    """How many times the bar had risen when the student answered."""


class Auditor:
    """Samples sentences and judges the student by them."""

    def __init__(
        self,
        batcher: Batcher,
        counts: AuditCounts,
        share: float,
        deadline_s: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take what asks and counts.

        Args:
            batcher: asks the model.
            counts: is told what was counted.
            share: of all sentences that are sampled.
            deadline_s: how long an answer may take.
            chance: a number from 0 to 1, another one each time.
        """
        self._batcher = batcher
        self._counts = counts
        self._share = share
        self._deadline_s = deadline_s
        self._chance = chance
        self._queue: asyncio.Queue[_Sampled] = asyncio.Queue(MOST_WAITING)

    def samples(self, sentences: int) -> Sequence[bool]:
        """Which of so many sentences to note once they are answered."""
        if not self._share:
            return [False] * sentences
        wanted = [self._chance() < self._share for _ in range(sentences)]
        room = MOST_WAITING - self._queue.qsize()
        for place, is_wanted in enumerate(wanted):
            if is_wanted and room <= 0:
                wanted[place] = False
                self._counts.not_audited()
            room -= is_wanted
        return wanted

    def note(self, student: Student, tokens: Tokens, label: int | None) -> None:
        """A sampled sentence was answered.

        Args:
            student: that was asked first.
            tokens: of the sentence.
            label: place of the student's label; None if the model answered, which never disagrees with itself.
        """
        if label is None:
            self._judge(student, False)
        elif self._queue.full():
            self._counts.not_audited()
        else:
            self._queue.put_nowait(_Sampled(student, tokens, label, student.watch.raised))

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            sampled = await self._queue.get()
            try:
                await self._ask(sampled)
            except Exception:
                logger.exception("A sampled sentence could not be looked at.")

    async def _ask(self, sampled: _Sampled) -> None:
        while self._batcher.expected_wait_s() > BUSY_SHARE_OF_DEADLINE * self._deadline_s:
            await asyncio.sleep(PAUSE_S)
        student, tokens = sampled.student, sampled.tokens
        if student.watch.raised != sampled.raised:
            self._counts.not_audited()  # it says something of a bar that is no longer used
            return
        try:
            async with asyncio.timeout(self._deadline_s):
                row = await self._batcher.submit(student.version, student.manifest, tokens.ids, tokens.mask)
        except (GatewayError, TimeoutError):
            self._counts.not_audited()  # the version is gone, say
            return
        self._judge(student, int(row.logits.argmax()) != sampled.label)

    def _judge(self, student: Student, disagrees: bool) -> None:
        self._counts.audited(disagrees)
        watch = student.watch
        if watch.note(disagrees):
            now = "answers nothing any more" if watch.bar is None else f"answers from confidence {watch.bar:g} on"
            logger.error(
                "The student of version %d disagreed with the model on more than %.2f %% of the sentences: it %s.",
                student.version,
                100 * watch.delta,
                now,
            )
