"""Versions that a request asks for by number: each is tried, as the current one was, before it answers."""

import asyncio
import logging

from gateway.errors import (
    GatewayError,
    ModelFailedError,
    NotReadyError,
    UnknownVersionError,
    UnusedVersionError,
)
from gateway.files import VersionFiles, stamps_of
from gateway.loaded_version import LoadedVersion
from gateway.triton import READY, TritonClient
from gateway.versions import VersionFollower
from gateway.warm_up import warm_up
from repository.manifest import RepositoryError

logger = logging.getLogger(__name__)

KEPT = 2
"""Most versions whose tokenizers are kept beside the current one's; Triton serves two unless its config says more."""
PAUSE_S = 10.0
"""How long a version that answered wrongly is refused before it is tried again."""


class NamedVersions:
    """Loads a version when it is first asked for, and keeps it while Triton serves it.

    The follower switches to a version only after it answered its golden sentences as PyTorch did. A caller who names
    one gets the same promise.
    """

    def __init__(
        self, triton: TritonClient, files: VersionFiles, follower: VersionFollower, pinned: int | None, sentences: int
    ) -> None:
        """Take what loads versions.

        Args:
            triton: who is asked.
            files: where versions lie.
            follower: knows which versions there are, and which one is current.
            pinned: the only version that may be asked; None for any.
            sentences: most sentences of one call to Triton.
        """
        self._triton = triton
        self._files = files
        self._follower = follower
        self._pinned = pinned
        self._sentences = sentences
        self._loaded: dict[int, LoadedVersion] = {}  # the one that was asked last is last
        self._refused: dict[int, tuple[str, float]] = {}
        self._trials: dict[int, asyncio.Task[LoadedVersion | GatewayError]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def get(self, number: int) -> LoadedVersion:
        """The version of that number.

        Raises:
            UnknownVersionError, UnusedVersionError: it may not be asked, see `check`.
            NotReadyError, GatewayError, TimeoutError: it cannot be tried now.
        """
        current = self._follower.version_to_ask()
        if current.number == number:
            return current
        self.check(number)
        kept = self._loaded.pop(number, None)
        if kept is not None and kept.stamps == stamps_of(self._files.model_folder / str(number), kept.manifest):
            self._loaded[number] = kept
            return kept
        trial = self._trials.get(number)
        if trial is None:
            trial = self._trials[number] = asyncio.create_task(self._try(number))
            trial.add_done_callback(lambda _: self._trials.pop(number, None))
        found = await asyncio.shield(trial)  # whoever gives up waiting does not undo the work for the next
        if isinstance(found, GatewayError):
            raise found
        return found

    def forget_gone(self) -> None:
        """Let those go that Triton no longer serves, or that became current: the follower holds that one by itself.

        Nobody may ever ask by number again, and a large tokenizer is 280 MB.
        """
        current = self._follower.current
        wanted = self._ready() - ({current.number} if current else set())
        self._loaded = {known: version for known, version in self._loaded.items() if known in wanted}
        self._refused = {known: refusal for known, refusal in self._refused.items() if known in wanted}

    def _ready(self) -> set[int]:
        return {version.number for version in self._follower.states if version.state == READY}

    def check(self, number: int) -> None:
        """Raise unless the version may be asked, as far as that is known without asking it.

        Raises:
            UnknownVersionError: Triton has no such version, or another one is pinned.
            UnusedVersionError: it is there, and it failed, is still loading, or answered wrongly.
        """
        if self._pinned not in (None, number):
            raise UnknownVersionError(f"This gateway answers with version {self._pinned} alone: leave `version` out.")
        if why := self._follower.failures().get(number):
            raise UnusedVersionError(f"Version {number} is not used: {why.rstrip('.')}.")
        if number not in self._ready():
            is_there = any(version.number == number for version in self._follower.states)
            kind = UnusedVersionError if is_there else UnknownVersionError
            raise kind(f"Version {number} is not served: GET /models names those that are.")
        why, retry_at = self._refused.get(number, ("", 0.0))
        if asyncio.get_running_loop().time() < retry_at:
            raise UnusedVersionError(why)

    async def _try(self, number: int) -> LoadedVersion | GatewayError:
        """The version, or why it cannot be asked. An error is returned: there may be nobody left to catch it."""
        async with self._one_at_a_time:
            while len(self._loaded) >= KEPT:  # before, not after: memory is counted in tokenizers
                self._loaded.pop(next(iter(self._loaded)))
            try:
                version = await self._follower.load(number)
                await warm_up(self._triton, version, self._sentences)
            except (RepositoryError, ModelFailedError) as error:
                return self._refuse(number, f"Version {number} does not answer as it did at export.", error)
            except GatewayError as error:
                return error
            except TimeoutError:
                return NotReadyError("Triton does not answer in time; try again shortly.")
            except Exception as error:  # whatever lies in the folder
                logger.exception("Version %d could not be tried.", number)
                return self._refuse(number, f"Version {number} could not be tried; the gateway's log says why.", error)
            self._loaded[number] = version
            return version

    def _refuse(self, number: int, message: str, error: Exception) -> UnusedVersionError:
        logger.error("Version %d of %s was asked for and is not used: %s", number, self._triton.model_name, error)
        self._refused[number] = (message, asyncio.get_running_loop().time() + PAUSE_S)
        return UnusedVersionError(message)
