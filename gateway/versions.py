"""Follows the versions that Triton serves: loads the newest one's tokenizer and labels, tries it, then switches."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from gateway.errors import GatewayError, ModelFailedError, NotReadyError, VersionGoneError
from gateway.files import VersionFiles, stamps_of
from gateway.loaded_version import LoadedVersion
from gateway.spread import Spread
from gateway.triton import READY, TritonClient, VersionState
from gateway.warm_up import warm_up
from repository.manifest import Manifest, RepositoryError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
DAMAGED = "DAMAGED"
"""State of a version that is in the repository and does not get to Triton; Triton's own states are other words."""


@dataclass(frozen=True)
class Rejection:
    """Why a version is not used, and when (on the monotonic clock) it is tried again."""

    reason: str
    pause_s: float
    retry_at: float


class VersionFollower:
    """Keeps `current` at the newest version that Triton serves and whose files are in order, or at the pinned one.

    Triton, not the disk, is followed: a version becomes current only after it answered a request, so one that Triton
    cannot load never does; one with golden sentences only after it answered those as PyTorch did at export. A
    rejected version is kept in `rejected` with the reason, and tried again after a growing pause: its files may be
    mended. Trouble of Triton's is not the version's fault: it is tried again at the next look.
    """

    def __init__(
        self,
        triton: TritonClient,
        files: VersionFiles,
        poll_s: float,
        pinned: int | None = None,
        batch_sentences: int = 1,
    ) -> None:
        self.current: LoadedVersion | None = None
        self.rejected: dict[int, Rejection] = {}
        self.states: list[VersionState] = []
        self.problem = "The gateway is starting; try again shortly."
        self.after_look: Callable[[], None] = lambda: None
        """Called after each look at Triton: for whoever holds what belongs to a version."""
        self._triton = triton
        self._spread = Spread(triton)
        self._files = files
        self._poll_s = poll_s
        self._pinned = pinned
        self._batch_sentences = batch_sentences
        self._aside: Collection[int] = ()  # what must not become current: a candidate, say
        self._failures: dict[int, str] = {}
        self._known: dict[int, Manifest] = {}  # what the versions were when they became current
        self._lock = asyncio.Lock()
        self._looked_at = 0.0
        self._is_answered = False  # whether Triton answered when it was last asked

    def ready(self) -> LoadedVersion:
        """The current version, if Triton served it when last asked.

        Raises:
            NotReadyError: it did not; the message says why.
        """
        if self.current is None or self.problem:
            raise NotReadyError(self.problem)
        return self.current

    def version_to_ask(self) -> LoadedVersion:
        """The current version, also while Triton seems away: asking it is the surest way to learn that it is back.

        Raises:
            NotReadyError: no version has become current yet.
            VersionGoneError: its files were changed; after a `refresh` another one is current, or none.
        """
        if self.current is None:
            raise NotReadyError(self.problem)
        if self.current.number in self.rejected:
            number = self.current.number
            raise VersionGoneError(f"The files of version {number} were changed; try again.", number)
        return self.current

    def failures(self) -> dict[int, str]:
        """Versions that are not used although they are there, with the reason: Triton's, or the gateway's."""
        reasons = {**self._failures, **{number: rejection.reason for number, rejection in self.rejected.items()}}
        # Callers see these; where the repository lies on the server is none of their business.
        for place in self._files.places:
            reasons = {number: reason.replace(place, "") for number, reason in reasons.items()}
        return reasons

    def served(self) -> set[int]:
        """Versions that Triton listed when it was last asked."""
        return {version.number for version in self.states if version.state != DAMAGED}

    def lacks(self, number: int) -> bool:
        """Whether a version is known to be gone: taken out of the repository, or replaced in Triton by newer ones.

        Triton keeps a model's last version when that is taken out; it is not asked any more without its files. Of a
        Triton that is away nothing is known, and one that has just begun may load what is in the repository.
        """
        if not self._is_answered:
            return False
        listed = any(version.number == number for version in self.states)
        if self._files.is_gone(number):
            return not listed or number in self.rejected
        return not listed and any(version.state == READY and version.number > number for version in self.states)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.refresh()
                self.after_look()
            except Exception:
                # A follower that dies would leave the gateway on an old version for ever, silently.
                logger.exception("Following Triton's versions failed; trying again.")
            await asyncio.sleep(self._poll_s)

    async def refresh(self, lost: int | None = None) -> None:
        """Ask Triton once, and switch if there is something newer to switch to, or away from a version that is lost.

        Many callers lose a version at the same moment: one look at Triton, if it begins later, does for all of them.
        """
        asked_at = time.monotonic()
        if lost is not None:
            self._spread.lost(lost)
        async with self._lock:
            if self._looked_at > asked_at:
                return
            self._looked_at = time.monotonic()
            try:
                # Triton's own listing takes milliseconds; one that hangs must not hold the next refresh up.
                async with asyncio.timeout(max(1.0, 2 * self._poll_s)):
                    states = await self._triton.versions()
            except (NotReadyError, TimeoutError) as error:
                self._is_answered = False
                self._report(str(error) or "Triton does not answer in time; try again shortly.")
                return
            self._is_answered = True
            # Triton lists a version that failed to load for as long as it runs, even if it was deleted long ago.
            self.states = _with_damaged(
                [version for version in states if version.state == READY or self._files.exists(version.number)],
                self._files.problems,
            )
            self._aside = await self._files.state.not_to_answer({v.number for v in states if v.state == READY})
            self._remember_failures()
            if self.current is not None:
                await self._check_unchanged(self.current)
            trouble = ""
            for number in await self._usable():
                if self.current is not None and number == self.current.number and number not in self.rejected:
                    if self.problem and not await self._answers_still(self.current):
                        continue
                    self._report("")
                    return
                try:
                    if await self._switch_to(number):
                        return
                except (GatewayError, TimeoutError) as error:
                    trouble = str(error) or "Triton does not answer in time; try again shortly."
            if trouble:  # of Triton's: it says nothing of the version
                self._report(trouble)
                return
            if self.current is not None and self.current.number in self.rejected:
                self.current = None
            self._report(self._nothing_usable())

    def _nothing_usable(self) -> str:
        name = self._triton.model_name
        if self._pinned is not None:
            return f"Triton serves not version {self._pinned}, which is pinned, of {name}; publish one."
        if aside := sorted(version.number for version in self.states if version.number in self._aside):
            return f"Triton serves no usable version of {name}; version {aside[-1]} is a candidate: promote it."
        return f"Triton serves no usable version of {name}; publish one."

    async def _usable(self) -> list[int]:
        ready = [version.number for version in self.states if version.state == READY]
        if self._pinned is not None:
            wanted = [number for number in ready if number == self._pinned]
        else:
            wanted = [number for number in ready if number not in self._aside]
        return await self._spread.in_order(wanted, self.current.number if self.current else None)

    def _remember_failures(self) -> None:
        """Triton tries a failed version again and again; while it does, the last reason still holds."""
        there = {version.number: version for version in self.states}
        self.rejected = {number: rejection for number, rejection in self.rejected.items() if number in there}
        self._known = {number: manifest for number, manifest in self._known.items() if number in there}
        failures = {number: why for number, why in self._failures.items() if number in there}
        for number, version in there.items():
            if version.state == READY:
                failures.pop(number, None)
            elif version.reason and failures.get(number) != version.reason:
                failures[number] = version.reason
                logger.error("Version %d of %s is not loaded: %s", number, self._triton.model_name, version.reason)
        self._failures = failures

    async def _check_unchanged(self, current: LoadedVersion) -> None:
        """Files overwritten in place change the answers of a version without changing its number."""
        if stamps_of(self._files.model_folder / str(current.number), current.manifest) == current.stamps:
            return
        try:
            self.current = await self.load(current.number)
        except RepositoryError as error:
            self._reject(current.number, str(error))

    async def load(self, number: int) -> LoadedVersion:
        """A number stands for one content: nobody can tell when Triton takes other files in, so whose logits it gives.

        Raises:
            RepositoryError: the files are not those of the manifest, or not those that once were current.
        """
        version = await asyncio.to_thread(LoadedVersion.read, self._files, number)
        if version.manifest != self._known.get(number, version.manifest):
            raise RepositoryError(
                f"version {number} was replaced by another in place: publish that one as a new version"
            )
        return version

    async def _switch_to(self, number: int) -> bool:
        """Whether the version answers as it has to, and is current now.

        Raises:
            GatewayError, TimeoutError: Triton is away or busy.
        """
        rejection = self.rejected.get(number)
        if rejection is not None and time.monotonic() < rejection.retry_at:
            return False
        try:
            version = await self.load(number)
            await warm_up(self._triton, version, self._batch_sentences)
        except (RepositoryError, ModelFailedError) as error:
            self._reject(number, reason_of(error))
            return False
        except (GatewayError, TimeoutError):
            raise
        except Exception:  # one version must not keep the others from being looked at
            logger.exception("Version %d could not be tried.", number)
            self._reject(number, "it could not be tried; the gateway's log says why")
            return False
        before = self.current.number if self.current else None
        self.current = version
        self._known[number] = version.manifest
        self.rejected.pop(number, None)
        self._report("")
        logger.info("Version %d of %s is current (before: %s).", number, self._triton.model_name, before)
        return True

    def _reject(self, number: int, reason: str) -> None:
        before = self.rejected.get(number)
        pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S) if before else FIRST_PAUSE_S
        self.rejected[number] = Rejection(reason, pause_s, time.monotonic() + pause_s)
        if before is None or before.reason != reason:
            logger.error("Version %d of %s is not used: %s", number, self._triton.model_name, reason)

    async def _answers_still(self, current: LoadedVersion) -> bool:
        """Whether the current version is to be kept now that Triton is back, maybe on another machine."""
        if current.golden is None:
            return True
        try:
            await warm_up(self._triton, current, self._batch_sentences)
        except (RepositoryError, ModelFailedError) as error:
            self._reject(current.number, reason_of(error))
            return False
        except (GatewayError, TimeoutError):
            return True  # Triton is busy or away again, which says nothing of the version
        return True

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                logger.warning("Not ready: %s", problem)


def _with_damaged(states: list[VersionState], problems: Mapping[int, str]) -> list[VersionState]:
    """The versions that Triton lists, and those that never get to it."""
    listed = {version.number for version in states}
    damaged = [VersionState(number, DAMAGED, why) for number, why in problems.items() if number not in listed]
    return sorted([*states, *damaged], key=lambda version: -version.number)


def reason_of(error: Exception) -> str:
    """What GET /models says of a version that does not answer as it has to; Triton's own words where there are some."""
    if isinstance(error, ModelFailedError) and error.detail:
        return error.detail
    return str(error)
