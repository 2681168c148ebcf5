"""Keeps a local folder in line with a model repository in S3, so that Triton only ever sees whole, checked versions.

Of each model the versions that Triton would load are brought: the newest ones, or the pinned one. Each is downloaded
aside, compared with its manifest and renamed into place; then follows the config, and at last what is no longer wanted
is deleted. While S3 cannot be asked, all stays as it is.
"""

import logging
import time
from pathlib import Path

from repository.bucket import AwayError
from repository.config import ModelConfig, parse_config
from repository.location import S3Location
from repository.manifest import RepositoryError
from repository.problem import Problem
from repository.s3_store import Listing, S3Store, model_names
from repository.staging import remove_leftovers, staging_in
from repository.store import ModelStore

logger = logging.getLogger(__name__)

Stamps = tuple[tuple[str, int, int], ...]


class Mirror:
    """The local copy of a whole repository: `sync` brings it in line once, `follow` for ever."""

    def __init__(self, location: S3Location, folder: Path) -> None:
        self._location = location
        self._folder = folder
        self._models: dict[str, ModelMirror] = {}
        self._problem = Problem(logger)

    def sync(self) -> int:
        """Bring every model in line; returns how many versions are there.

        Raises:
            RepositoryError: S3 cannot be asked; nothing was changed then.
        """
        for name in model_names(self._location):
            if name not in self._models:
                self._models[name] = ModelMirror(S3Store(self._location, name), self._folder)
        for name, model in self._models.items():
            try:
                model.sync()
            except AwayError:
                raise
            except Exception as error:  # whatever lies in the bucket: the other models are brought in line
                model.problem.tell(f"{name} is left as it is here", error)
            else:
                model.problem.over()
        return sum(len(model.local.numbers()) for model in self._models.values())

    def follow(self, pause_s: float) -> None:
        """Sync until the process is ended."""
        while True:
            try:
                self.sync()
            except Exception as error:  # the next look may go well
                self._problem.tell("The repository is not followed, what is here stays", error)
            else:
                self._problem.over()
            time.sleep(pause_s)


class ModelMirror:
    """The local copy of one model."""

    def __init__(self, remote: S3Store, repository: Path) -> None:
        self.remote = remote
        self.local = ModelStore(repository, remote.model_name)
        self.problem = Problem(logger)
        self._checked: dict[int, Stamps] = {}
        self._refused: dict[int, frozenset[object]] = {}

    def sync(self) -> None:
        """Bring the local folder in line. Raises RepositoryError: S3 cannot be asked."""
        text = self.remote.config()
        config = parse_config(text)
        listing = self.remote.listing()
        self.local.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.local.folder)
        wanted = self._bring(listing, config)
        if not wanted:
            return  # an emptied bucket, or a wrong prefix, is no reason to stop answering
        self.local.ensure_config(text)
        if self.local.config() != text:  # Triton loads every version again when the file changes
            self.local.change_config(lambda _: text)
        for number in self.local.numbers():
            if number not in wanted:
                self.local.retract(number)
                logger.info("Version %d of %s is no longer kept here.", number, self.local.model_name)
        self.local.serve_students()

    def _bring(self, listing: Listing, config: ModelConfig) -> set[int]:
        """Fetch what is missing or damaged; returns the numbers that are to stay."""
        if config.pinned is not None:
            return {config.pinned} if self._has(config.pinned, listing) else set()
        good: set[int] = set()
        for number in sorted(listing, reverse=True):
            if len(good) < config.loaded_versions and self._has(number, listing):
                good.add(number)
        return good

    def _has(self, number: int, listing: Listing) -> bool:
        """Whether the version is here, whole and undamaged; fetched first where it is not."""
        folder = self.local.folder / str(number)
        if folder.is_dir():
            if self._checked.get(number) == (stamps := _stamps(folder)):
                return number in listing
            try:
                self.local.verify(number)
            except RepositoryError as error:
                logger.error("The copy of version %d is damaged and is fetched again: %s", number, error)
            else:
                self._checked[number] = stamps
                return number in listing
        found = frozenset(listing.get(number, {}).values())
        if not found or self._refused.get(number) == found:
            return False  # not there, or as damaged as it was
        try:
            self._fetch(number, folder)
        except AwayError:
            raise
        except RepositoryError as error:
            self._refused[number] = found
            logger.error("Version %d of %s is refused: %s", number, self.local.model_name, error)
            return False
        self._refused.pop(number, None)
        self._checked[number] = _stamps(folder)
        logger.info("Version %d of %s is here.", number, self.local.model_name)
        return True

    def _fetch(self, number: int, folder: Path) -> None:
        with staging_in(self.local.folder) as staging:
            fetched = staging / str(number)
            fetched.mkdir()
            fetched.chmod(0o755)
            self.remote.fetch(number, fetched)
            if folder.exists():
                folder.rename(staging / "damaged")
            fetched.rename(folder)


def _stamps(folder: Path) -> Stamps:
    found = []
    for path in sorted(folder.iterdir()):
        status = path.stat()
        found.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(found)
