"""Which student may be asked? That of the current version, once it has answered its golden sentences.

A student is never needed: without one the model answers alone. So nothing waits for it, a swap least of all, and a
student that fails is asked nothing more until it has answered its golden sentences again.
"""

import asyncio
import dataclasses
import logging
import time
from typing import Literal, NamedTuple

from gateway.errors import GatewayError, ModelFailedError, VersionGoneError
from gateway.loaded_version import LoadedVersion
from gateway.triton import TritonClient
from gateway.versions import VersionFollower
from gateway.warm_up import warm_up
from gateway.watch import Watch
from repository.cascade import Cascade
from repository.manifest import Manifest, RepositoryError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


class Student(NamedTuple):
    """A student that may be asked."""

    version: int
    manifest: Manifest
    temperature: float
    watch: Watch


class StudentState(NamedTuple):
    """What is shown of the current version's student."""

    state: Literal["answers", "waits", "off"]
    """`waits`: it did not answer its golden sentences yet; `off`: it disagreed too often at every bar."""
    reason: str
    watch: Watch | None


class Students:
    """Follows the current version's student in Triton."""

    def __init__(self, triton: TritonClient, versions: VersionFollower, poll_s: float, batch_sentences: int) -> None:
        """Take what tells and asks.

        Args:
            triton: asks the model that serves students.
            versions: knows the current version.
            poll_s: how often that is looked at.
            batch_sentences: most sentences of one call.
        """
        self._triton = triton
        self._versions = versions
        self._poll_s = poll_s
        self._batch_sentences = batch_sentences
        self._student: Student | None = None
        self._watch: tuple[int, Watch] | None = None  # of the version that was current last, whatever becomes of it
        self._problem = ""
        self._pause_s = FIRST_PAUSE_S
        self._retry_at = 0.0

    def of(self, version: LoadedVersion) -> Student | None:
        """The student of a version; None if it has none, or none that may be asked now."""
        found = self._student
        if found is None or found.manifest is not version.manifest or found.watch.bar is None:
            return None
        return found

    def state(self) -> StudentState | None:
        """Of the current version; None if that has no student."""
        current = self._versions.current
        if current is None or current.manifest.cascade is None:
            return None
        watch = self._watch[1] if self._watch is not None and self._watch[0] == current.number else None
        if watch is not None and watch.bar is None:
            return StudentState("off", "It disagreed with the model too often at every bar.", watch)
        if self.of(current) is None:
            return StudentState("waits", self._problem or "It was not asked yet.", watch)
        return StudentState("answers", "", watch)

    def lost(self, student: Student, error: Exception) -> None:
        """It failed: the model answers alone until the student has answered its golden sentences again."""
        if self._student is student:
            self._student = None
            self._put_off(student.version, error)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                logger.exception("The student could not be looked at; the model answers alone.")
                self._student = None
            await asyncio.sleep(self._poll_s)

    async def look(self) -> None:
        """Ask the current version's student its golden sentences, if that is due."""
        current = self._versions.current
        cascade = None if current is None else current.manifest.cascade
        if current is None or cascade is None:
            self._student = None
            return
        if self._watch is None or self._watch[0] != current.number:
            self._begin(current.number, cascade)
        assert self._watch is not None
        watch = self._watch[1]
        is_known = self._student is not None and self._student.manifest is current.manifest
        if is_known or watch.bar is None or time.monotonic() < self._retry_at:
            return
        try:
            await warm_up(
                self._triton, dataclasses.replace(current, golden=current.student_golden), self._batch_sentences
            )
        except (GatewayError, RepositoryError, TimeoutError) as error:
            self._student = None
            self._put_off(current.number, error)
            return
        self._student = Student(current.number, current.manifest, cascade.temperature, watch)
        self._pause_s, self._problem = FIRST_PAUSE_S, ""
        logger.info("The student of version %d answers from confidence %g on.", current.number, watch.bar)

    def _begin(self, number: int, cascade: Cascade) -> None:
        self._watch = (number, Watch(cascade))
        self._student, self._problem = None, ""
        self._pause_s, self._retry_at = FIRST_PAUSE_S, 0.0

    def _put_off(self, number: int, error: Exception) -> None:
        problem = str(error) or "Triton does not answer in time."
        if isinstance(error, VersionGoneError):
            problem = "Triton does not serve it (yet)."
        elif isinstance(error, ModelFailedError) and error.detail:
            problem = error.detail
        if problem != self._problem:
            logger.warning("The student of version %d is not asked: %s", number, problem)
        self._problem = problem
        self._retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
