"""Remembers answers, takes feedback to them, and tells how right they were; one for each worker."""

import asyncio
import functools
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.classifier import Prediction, Predictions, unquote
from gateway.errors import InvalidRequestError, NotReadyError, UnknownAnswerError
from gateway.feedback.answer_log import AnswerLog, KnownAnswer, KnownVersion, VersionFigures
from gateway.feedback.counters import FeedbackCounters
from gateway.feedback.figures import families
from gateway.feedback.files import FeedbackFiles
from gateway.feedback.judging import judge
from gateway.ranking import ranked
from gateway.settings import GatewaySettings
from repository.feedback import FeedbackLine, Right
from repository.manifest import Manifest, ProblemType

logger = logging.getLogger(__name__)

WRITTEN_EVERY_S = 0.2
"""How often answers are put where the other workers find them."""
OTHERS_WAIT_S = 3 * WRITTEN_EVERY_S
"""How long feedback waits for an answer that another worker has just given."""
FIGURES_EVERY_S = 10.0
"""Of a hundred thousand answers, reading them takes some 30 ms of a thread."""
MOST_PENDING = 50_000
"""Sentences that wait to be written; if the disk is slower than that, later ones are forgotten."""


class _Answered(NamedTuple):
    """One request's answers, as they came: what is kept of them is made when they are written."""

    id: str
    manifest: Manifest
    version: int
    items: Sequence[Prediction]
    sentences: Sequence[str]


@dataclass(frozen=True)
class Taken:
    """What became of feedback."""

    answer: KnownAnswer
    is_right: bool | None
    replaced: bool
    """Whether it takes the place of an earlier one."""


class FeedbackKeeper(Collector):
    """Feedback to the answers of one model."""

    def __init__(
        self, settings: GatewaySettings, counters: FeedbackCounters, log: AnswerLog, files: FeedbackFiles
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._log = log
        self._files = files
        self._pending: list[_Answered] = []
        self._waiting = 0
        self.figures: list[VersionFigures] = []
        """By version, newest first, as of a few seconds ago."""

    def remember(self, request_id: str, predictions: Predictions, sentences: Sequence[str]) -> None:
        """A request was answered; its sentences are kept only where the settings allow that."""
        count = len(predictions.items)
        if self._waiting + count > MOST_PENDING:
            self._counters.forgotten.inc(count)
            return
        self._waiting += count
        kept = [unquote(sentence) for sentence in sentences] if self._settings.feedback_sentences else ()
        version = predictions.version
        self._pending.append(_Answered(request_id, version.manifest, version.number, predictions.items, kept))

    async def give(self, request_id: str, index: int | None, given: Right) -> Taken:
        """Take feedback to one answer.

        Args:
            request_id: as the header X-Request-ID of the answer told it.
            index: place of the sentence in its request, from 0; None where it had one.
            given: the right labels, or the right number.

        Raises:
            UnknownAnswerError: no such answer is remembered.
            InvalidRequestError: the answer's version has no such label, or the request no such sentence.
            FeedbackFullError: there is as much feedback as may be kept.
            NotReadyError: it cannot be written now.
        """
        give = functools.partial(self._give, request_id, index, given)
        try:
            await asyncio.to_thread(self._write, self._taken())
            try:
                return await asyncio.to_thread(give)
            except UnknownAnswerError:
                await asyncio.sleep(OTHERS_WAIT_S)  # another worker may not have written it yet
                return await asyncio.to_thread(give)
        except (OSError, sqlite3.Error) as error:
            logger.error("Feedback cannot be written: %s", error)
            raise NotReadyError("The feedback cannot be written now; try again shortly.") from None

    def _give(self, request_id: str, index: int | None, given: Right) -> Taken:
        with self._log.giving(request_id) as giving:
            sentences = giving.sentences()
            if index is None and sentences > 1:
                raise InvalidRequestError(
                    f"The request had {sentences} sentences: say by `index` which is meant, from 0 to {sentences - 1}."
                )
            if index is not None and 0 < sentences <= index:
                raise InvalidRequestError(f"The request's last sentence has index {sentences - 1}.")
            answer = giving.answer(index or 0)
            if answer is None:
                raise UnknownAnswerError(
                    f"No answer with this id is remembered: give the X-Request-ID of one of the last "
                    f"{self._settings.feedback_answers} answers, not older than {self._settings.feedback_days:g} days."
                )
            judged = judge(answer, giving.version(answer.version), given)
            line = FeedbackLine(
                time=time.time(),
                model=self._settings.model_name,
                version=answer.version,
                id=answer.id,
                index=answer.place,
                answered=answer.answered,
                score=answer.score,
                right=judged.right,
                is_right=judged.is_right,
                sentence=answer.sentence,
            )
            before = giving.given(answer.place)
            if before != judged.right:  # a caller that tries again adds nothing
                self._files.append(line.encoded())
                giving.note(answer.place, judged.right, judged.is_right, judged.error)
        self.figures = self._log.figures()
        named = "number" if judged.is_right is None else "yes" if judged.is_right else "no"
        self._counters.taken(named).inc()
        return Taken(answer, judged.is_right, replaced=before not in (None, judged.right))

    async def run(self) -> None:
        """Write what is remembered, and count, until cancelled."""
        counted_at = 0.0
        work: asyncio.Task[None] | None = None
        try:
            while True:
                await asyncio.sleep(WRITTEN_EVERY_S)
                is_due = time.monotonic() - counted_at > FIGURES_EVERY_S
                try:
                    work = asyncio.create_task(asyncio.to_thread(self._work, self._taken(), is_due))
                    await asyncio.shield(work)  # a thread cannot be cancelled
                except (OSError, sqlite3.Error) as error:
                    logger.error("Answers cannot be kept for feedback: %s", error)
                    await asyncio.sleep(FIGURES_EVERY_S)
                if is_due:
                    counted_at = time.monotonic()
        finally:
            if work is not None:
                await asyncio.gather(work, return_exceptions=True)
            self._write(self._taken())  # nothing is lost by a clean end
            self._files.let_go()
            self._log.close()

    def _work(self, answered: list[_Answered], is_due: bool) -> None:
        self._write(answered)
        if is_due:
            self._log.forget_old()
            self.figures = self._log.figures()

    def _taken(self) -> list[_Answered]:
        """What waits to be written; from the event loop alone."""
        answered, self._pending, self._waiting = self._pending, [], 0
        return answered

    def _write(self, answered: list[_Answered]) -> None:
        if not answered:
            return
        versions = {
            request.version: KnownVersion(request.version, request.manifest.labels, request.manifest.problem_type)
            for request in answered
        }
        threshold = self._settings.threshold
        try:
            self._log.add((known for request in answered for known in _known(request, threshold)), versions.values())
        except (OSError, sqlite3.Error):
            self._counters.forgotten.inc(sum(len(request.items) for request in answered))
            raise

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads beside the counters."""
        return families(self.figures)


def _known(request: _Answered, threshold: float) -> Iterator[KnownAnswer]:
    """What is kept of a request's answers: what is answered when nothing particular is asked for."""
    for place, item in enumerate(request.items):
        best = ranked(item.scores, request.manifest, None, threshold)
        sentence = request.sentences[place] if request.sentences else None
        if request.manifest.problem_type is ProblemType.REGRESSION:
            yield KnownAnswer(request.id, place, request.version, best[0]["score"], None, sentence)
            continue
        score = best[0]["score"] if best else None
        yield KnownAnswer(request.id, place, request.version, [each["label"] for each in best], score, sentence)
