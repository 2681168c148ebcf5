"""Who answers: the student what it is sure of, the model all else; or the model alone, where there is no student."""

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

from gateway.audit import Auditor
from gateway.batcher import Batcher
from gateway.encoding import Tokens
from gateway.errors import ModelFailedError
from gateway.loaded_version import LoadedVersion
from gateway.rows import Row
from gateway.students import Student, Students
from repository.inference import Float32Array, scores
from repository.manifest import ProblemType

STUDENT: Literal["student"] = "student"
MODEL: Literal["model"] = "model"


class Answered(NamedTuple):
    """The answer to one sentence, and whose it is."""

    logits: Float32Array
    """`[labels]`; a student's are divided by its temperature."""
    scores: Float32Array
    """`[labels]`; a student's are calibrated: how likely the model is to answer each label."""
    waited_s: float
    """How long it waited for the call that answered it."""
    by: Literal["student", "model"] | None
    """Whose answer it is; None where no student was asked."""


class Answerer:
    """Asks a version about sentences that are tokenized."""

    def __init__(self, batcher: Batcher, students: Students | None = None, auditor: Auditor | None = None) -> None:
        """Without `students` and `auditor`, the model answers alone."""
        self._batcher = batcher
        self._students = students
        self._auditor = auditor

    async def answers(self, version: LoadedVersion, sentences: Sequence[Tokens], alone: bool = False) -> list[Answered]:
        """The answer to each sentence; a window of a longer text is always the model's.

        Args:
            version: who is asked.
            sentences: tokenized.
            alone: the model answers all by itself where the version says what its scores mean: that is said of the
                model's, not of the student's.

        Raises:
            GatewayError: the model failed, is away, or the version is gone. A student that fails is passed over.
        """
        student = None if self._students is None else self._students.of(version)
        if student is None:
            return [Answered(*row, None) for row in await self._ask_model(version, sentences)]
        if alone and not (version.manifest.calibration is None and version.manifest.coverage is None):
            return [Answered(*row, MODEL) for row in await self._ask_model(version, sentences)]
        # Nobody has measured how sure a student may be of a part of a text, nor what its logits are worth in a join.
        whole = [place for place, tokens in enumerate(sentences) if not tokens.is_window]
        sure: list[Answered | None] = [None] * len(sentences)
        for place, answered in zip(
            whole, await self._ask_student(student, [sentences[place] for place in whole]), strict=True
        ):
            sure[place] = answered
        unsure = [place for place, answered in enumerate(sure) if answered is None]
        rows = await self._ask_model(version, [sentences[place] for place in unsure])
        by_model = {place: Answered(*row, MODEL) for place, row in zip(unsure, rows, strict=True)}
        return [by_model[place] if answered is None else answered for place, answered in enumerate(sure)]

    async def _ask_student(self, student: Student, sentences: Sequence[Tokens]) -> list[Answered | None]:
        """The student's answers; None where it is not sure, or failed."""
        sampled = self._auditor.samples(len(sentences)) if self._auditor is not None else [False] * len(sentences)
        bar = student.watch.bar
        futures = [
            self._batcher.submit(student.version, student.manifest, tokens.ids, tokens.mask, student=True)
            for tokens in sentences
        ]
        try:
            rows = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            for future in futures:
                future.cancel()
        found: list[Answered | None] = []
        for tokens, row, is_sampled in zip(sentences, rows, sampled, strict=True):
            if isinstance(row, BaseException):
                self._failed(student, row)
                found.append(None)
                continue
            answered = _calibrated(row, student.temperature)
            is_sure = bar is not None and float(answered.scores.max()) >= bar
            if is_sampled and self._auditor is not None:
                self._auditor.note(student, tokens, int(answered.scores.argmax()) if is_sure else None)
            found.append(answered if is_sure else None)
        return found

    def _failed(self, student: Student, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error  # this request was cancelled
        # A sentence that breaks the graph says nothing of the others; all else says that the student is away.
        if not isinstance(error, ModelFailedError) and self._students is not None:
            self._students.lost(student, error)

    async def _ask_model(self, version: LoadedVersion, sentences: Sequence[Tokens]) -> list[Row]:
        futures = [
            self._batcher.submit(version.number, version.manifest, tokens.ids, tokens.mask) for tokens in sentences
        ]
        try:
            if len(futures) == 1:  # most requests: `gather` costs as much as the ranking of the labels
                return [await futures[0]]
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:  # the caller hung up, the deadline passed or one failed: the others' places go
                future.cancel()


def _calibrated(row: Row, temperature: float) -> Answered:
    logits = row.logits / temperature
    return Answered(logits, scores(logits, ProblemType.SINGLE_LABEL), row.waited_s, STUDENT)
