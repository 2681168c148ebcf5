"""Keeps what label sets are computed from, of the versions that were lately asked for one."""

import asyncio
import logging

from gateway.errors import InvalidRequestError, ModelFailedError, NotReadyError
from gateway.files import VersionFiles
from gateway.loaded_version import LoadedVersion
from repository.bucket import AwayError
from repository.manifest import RepositoryError
from repository.meaning.calibration import CALIBRATE_COMMAND
from repository.meaning.coverage import HELD_OUT_FILE
from repository.meaning.held_out import HeldOut, Limits, UnreachableError
from repository.spelling import as_called

logger = logging.getLogger(__name__)

KEPT = 4


class HeldOutScores:
    """Reads a version's held-out scores when a set is first asked for."""

    def __init__(self, files: VersionFiles) -> None:
        self._files = files
        self._kept: dict[tuple[int, str], HeldOut] = {}  # the one that was asked last is last
        self._one_at_a_time = asyncio.Lock()

    async def limits(self, version: LoadedVersion, coverage: float) -> Limits:
        """How ill each label may fit, for a coverage.

        Raises:
            InvalidRequestError: the version has no held-out scores, or not enough for that coverage.
            NotReadyError, ModelFailedError: they cannot be read.
        """
        held_out = await self._of(version)
        try:
            return await asyncio.to_thread(held_out.limits, coverage)
        except UnreachableError as error:
            most = int(1000 * error.most) / 1000
            raise InvalidRequestError(
                f"coverage={coverage:g} takes {error.needed} groups of held-out sentences, and version "
                f"{version.number} has {error.groups}: ask for at most {most:g}."
            ) from None

    async def _of(self, version: LoadedVersion) -> HeldOut:
        number, manifest = version.number, version.manifest
        if manifest.coverage is None:
            raise InvalidRequestError(
                f"Version {number} has no held-out scores, from which `coverage` is kept: "
                f"{as_called(f'`{CALIBRATE_COMMAND} {number} --data FILE`')} publishes a version that has."
            )
        identity = (number, manifest.files[HELD_OUT_FILE].sha256)
        async with self._one_at_a_time:
            held_out = self._kept.pop(identity, None)
            if held_out is None:
                held_out = await asyncio.to_thread(self._read, version)
            self._kept[identity] = held_out
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))
        return held_out

    def _read(self, version: LoadedVersion) -> HeldOut:
        try:
            content = self._files.read(version.number, HELD_OUT_FILE)
            return HeldOut.parse(content or b"", version.manifest.labels)
        except AwayError:
            raise NotReadyError("The repository cannot be asked for held-out scores now; try again.") from None
        except (RepositoryError, OSError, ValueError) as error:
            logger.error("The held-out scores of version %d cannot be read: %s", version.number, error)
            raise ModelFailedError(
                f"The held-out scores of version {version.number} cannot be read; the gateway's log says why."
            ) from None
