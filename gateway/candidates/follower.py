"""Follows the version on trial: loads and tries it, lets requests meet it, and ends the trial when it is decided.

A gateway that is pinned to a version, by MODEL_VERSION, takes no part: a pin is for those who want no surprise.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.candidates.counts import Counts
from gateway.candidates.ledger import Ledger
from gateway.candidates.live import LiveTrial
from gateway.candidates.schemas import CandidateNow, EndedTrial, figures_of
from gateway.candidates.shadow import Shadow
from gateway.classifier import Classifier
from gateway.errors import GatewayError, ModelFailedError
from gateway.files import VersionFiles, stamps_of
from gateway.triton import READY, TritonClient
from gateway.versions import VersionFollower, reason_of
from gateway.warm_up import warm_up
from repository.bucket import AwayError
from repository.candidates.tally import Tally
from repository.candidates.trial import Trial, Trials
from repository.manifest import RepositoryError

logger = logging.getLogger(__name__)

ADDED_UP_EVERY_S = 3.0
S_PER_FILE = 0.5
"""More processes are added up less often, so that each reads two files a second at most."""
TRIES = 3
"""Looks at which a candidate has to fail before it is rejected for that."""
TRY_AGAIN_S = 1.0
LEFT_OVER = timedelta(seconds=15)
"""A rejected version that is still there so long after is nobody else's to delete."""
LAST_S = 2.0
"""How long the last counts may take to be written when the gateway stops."""
SHOWN = 5
"""Trials that have ended, in `GET /models`."""


class CandidateFollower:
    """The one trial that runs, if any, in this process."""

    def __init__(
        self,
        triton: TritonClient,
        files: VersionFiles,
        versions: VersionFollower,
        classifier: Classifier,
        shadow: Shadow,
        counts: Counts,
        ledger: Ledger,
        deadline_s: float,
        sentences: int,
    ) -> None:
        """Take what loads, asks and counts.

        Args:
            triton: is asked the golden sentences.
            files: where versions and the record of trials lie.
            versions: knows which version is current.
            classifier: is told of the candidate.
            shadow: is shown what was answered.
            counts: of this process.
            ledger: of all.
            deadline_s: of a request.
            sentences: most sentences of one call to Triton.
        """
        self._triton = triton
        self._files = files
        self._versions = versions
        self._classifier = classifier
        self._shadow = shadow
        self._counts = counts
        self._ledger = ledger
        self._deadline_s = deadline_s
        self._sentences = sentences
        self._failed: tuple[int, int, str] = (0, 0, "")  # version, looks at which it failed, why
        self._not_before = 0.0
        self._add_up_at = 0.0
        self._sum: tuple[Tally, Mapping[str, Any]] | None = None  # what all have counted, and as it is shown

    @property
    def trial(self) -> Trial | None:
        """The trial that runs."""
        return self._files.state.trials.running

    def state(self) -> CandidateNow | None:
        """What is shown of the candidate; None without one."""
        if (trial := self.trial) is None:
            return None
        live = self._live(trial)
        waits = None if live is not None else "It is being loaded."
        if live is None and self._failed[0] == trial.version:
            waits = self._failed[2]
        counted, figures = self._sum if self._sum is not None and self._sum[0].version == trial.version else (None, {})
        failure = counted.failure if counted is not None else None
        return CandidateNow.of(trial, figures, self._shadow.share, waits=waits, failure=failure)

    def ended(self) -> list[EndedTrial]:
        """The last trials that have ended, newest first."""
        over = [trial for trial in self._files.state.trials.trials if trial.outcome is not None]
        return [EndedTrial.model_validate(trial.model_dump()) for trial in reversed(over[-SHOWN:])]

    async def run(self, pause_s: float) -> None:
        """Follow until cancelled; what was counted is kept then."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    logger.exception("The candidate could not be looked at; the current version answers alone.")
                    self._classifier.trial = None
                await asyncio.sleep(pause_s)
        finally:
            if (own := self._counts.copy()) is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_S):
                        await asyncio.to_thread(self._ledger.add_up, own.version, own.against, own)

    async def look(self) -> None:
        """Bring the process in line with the record of trials, and add up what was counted when it is time."""
        trials = self._files.state.trials
        trial = trials.running
        counted = self._counts.tally
        if counted is not None and (trial is None or counted.version != trial.version):
            await self._leave(counted.version)
        if trial is None:
            self._classifier.trial = None
            self._shadow.forget()
            await self._tidy(trials)
            return
        await self._try(trial)
        current = self._versions.current
        if (live := self._live(trial)) is not None:
            live.against = current.number if current is not None else live.against
            live.canary = trial.canary
            self._classifier.trial = live
            if live.failure is not None and (self._sum is None or self._sum[0].failure is None):
                self._add_up_at = 0.0  # others have to know at once
        if time.monotonic() >= self._add_up_at:
            await self._add_up(trial, current.number if current is not None else 0)

    def _live(self, trial: Trial) -> LiveTrial | None:
        live = self._classifier.trial
        return live if isinstance(live, LiveTrial) and live.version.number == trial.version else None

    async def _leave(self, version: int) -> None:
        """Its trial is over."""
        self._classifier.trial = None
        self._shadow.forget()
        self._counts.tally = self._sum = None
        self._add_up_at = 0.0
        await asyncio.to_thread(self._ledger.forget, version, self._counts.process)

    async def _try(self, trial: Trial) -> None:
        """Load the candidate and ask its golden sentences, as is done with a version before it becomes current."""
        live, number = self._live(trial), trial.version
        if live is not None and self._is_ready(number):
            if stamps_of(self._files.model_folder / str(number), live.version.manifest) != live.version.stamps:
                self._fail(trial, "its files were changed in place")
            return
        if self._classifier.trial is not None:  # of an earlier candidate, or of this one, which Triton serves no more
            self._classifier.trial = None
            self._shadow.forget()
        if why := self._versions.failures().get(number):
            self._note_failure(trial, why)
        elif time.monotonic() >= self._not_before and self._is_ready(number) and (beside := self._versions.current):
            self._not_before = time.monotonic() + TRY_AGAIN_S
            try:
                version = await self._versions.load(number)
                await warm_up(self._triton, version, self._sentences)
            except AwayError:
                return  # the next look may find S3 again
            except (RepositoryError, ModelFailedError) as error:
                self._note_failure(trial, reason_of(error))
            except (GatewayError, TimeoutError):
                return  # Triton is away, or does not serve it everywhere yet
            else:
                logger.info("Version %d is on trial beside version %d.", number, beside.number)
                self._classifier.trial = LiveTrial(version, self._shadow, self._counts, self._deadline_s)

    def _is_ready(self, number: int) -> bool:
        return any(version.number == number and version.state == READY for version in self._versions.states)

    def _note_failure(self, trial: Trial, reason: str) -> None:
        for place in self._files.places:  # what is shown and written may be read by those who need not know them
            reason = reason.replace(place, "")
        times = self._failed[1] + 1 if self._failed[0] == trial.version else 1
        self._failed = trial.version, times, reason
        if times >= TRIES:
            self._fail(trial, reason)

    def _fail(self, trial: Trial, reason: str) -> None:
        """It may not answer, whatever its rule says."""
        current = self._versions.current
        tally = self._counts.of(trial.version, current.number if current is not None else 0)
        if tally.failure is None:
            logger.error("The candidate, version %d, is not used: %s", trial.version, reason)
            tally.failure = reason
            self._add_up_at = 0.0
        if (live := self._live(trial)) is not None:
            live.failure = live.failure or reason

    async def _add_up(self, trial: Trial, against: int) -> None:
        own = self._counts.copy()
        counted, files = await asyncio.to_thread(self._ledger.add_up, trial.version, against, own)
        if self._sum is None or self._sum[0] != counted:
            self._sum = counted, await asyncio.to_thread(figures_of, counted)
        self._add_up_at = time.monotonic() + max(ADDED_UP_EVERY_S, S_PER_FILE * files)
        if counted.failure is not None and (live := self._live(trial)) is not None:
            live.failure = live.failure or counted.failure  # another process's: it answers nowhere
        ended = await asyncio.to_thread(self._ledger.decide, trial, counted)
        if ended is not None:
            logger.warning("The candidate, version %d, is %s: %s.", ended.version, ended.outcome, ended.reason)

    async def _tidy(self, trials: Trials) -> None:
        last = trials.trials[-1] if trials.trials else None
        if last is None or last.outcome != "rejected" or not self._files.exists(last.version):
            return
        is_left = last.ended_at is not None and datetime.now(UTC) - last.ended_at > LEFT_OVER
        if is_left and time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + LEFT_OVER.total_seconds()
            await asyncio.to_thread(self._ledger.tidy, last)
