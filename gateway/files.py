"""Where the gateway reads a version's manifest, tokenizer and golden sentences: a folder, or S3 with a local cache.

The graph is Triton's business; of one in S3 the gateway reads nothing but what S3 says of it, unless Triton does not
list the version: then it is read through once, to tell people what is wrong with it.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from gateway.candidates.state import LocalState, S3State, TrialState
from gateway.settings import GatewaySettings
from repository.bucket import AwayError
from repository.cascade import STUDENT_GOLDEN_FILE
from repository.golden import GOLDEN_FILE
from repository.location import S3Location
from repository.manifest import TOKENIZER_FILE, Manifest, RepositoryError
from repository.meaning.coverage import HELD_OUT_FILE
from repository.problem import Problem
from repository.s3_store import Listing, S3Store
from repository.staging import staging_in
from repository.store import numbers_in
from repository.training_profile import PROFILE_FILE

logger = logging.getLogger(__name__)

READER = "gateway"
"""Whose copy of a repository in S3 it is; Triton's has the graphs."""

FileStamps = tuple[tuple[str, int, int], ...]

READ_HERE = (TOKENIZER_FILE, GOLDEN_FILE, STUDENT_GOLDEN_FILE, HELD_OUT_FILE, PROFILE_FILE)
WATCHED = 2
"""How many of the newest versions are looked at before Triton serves them: as many as it loads."""


class VersionFiles(Protocol):
    """The version folders of one model, as far as the gateway needs them."""

    model_folder: Path
    places: Sequence[str]
    """What errors call the folder or the bucket; callers are not told where a repository lies."""
    read_here: Collection[str] | None
    """The files that are in the folder; None for all that the manifest lists."""
    problems: dict[int, str]
    """Versions that never get to Triton because their files are damaged, with the reason."""
    state: TrialState
    """Which versions are candidates."""

    def exists(self, number: int) -> bool:
        """Whether there is such a version, as far as is known without asking anybody."""

    def is_gone(self, number: int) -> bool:
        """Whether it is known that there is no such version."""

    def prepare(self, number: int) -> None:
        """Bring a version's files into its folder, if they are elsewhere or damaged. Blocks.

        Raises:
            RepositoryError: they cannot be had, or are not those of the manifest.
        """

    def read(self, number: int, name: str) -> bytes | None:
        """Return one file of a version, as its manifest describes it; None if there is no such file. Blocks.

        Raises:
            RepositoryError: it cannot be had.
        """


class LocalFiles:
    """A repository that is a folder."""

    def __init__(self, model_folder: Path) -> None:
        self.model_folder = model_folder
        self.places: Sequence[str] = _places(model_folder)
        self.read_here: Collection[str] | None = None
        self.problems: dict[int, str] = {}
        self.state: TrialState = LocalState(model_folder)

    def exists(self, number: int) -> bool:
        """Whether the version's folder is there."""
        return (self.model_folder / str(number)).is_dir()

    def is_gone(self, number: int) -> bool:
        """Whether its folder is not there."""
        return not self.exists(number)

    def prepare(self, number: int) -> None:
        """Nothing: all is there."""

    def read(self, number: int, name: str) -> bytes | None:
        """Return one file of a version, as its manifest describes it; None if the version has no such file."""
        folder = self.model_folder / str(number)
        if not self.exists(number) or name not in (manifest := Manifest.read(folder)).files:
            return None
        manifest.verify_files(folder, (name,))
        return (folder / name).read_bytes()


class S3Files:
    """A repository in S3: what the gateway needs is copied to `model_folder`, which several gateways may share."""

    def __init__(self, store: S3Store, model_folder: Path, poll_s: float) -> None:
        self.model_folder = model_folder
        self.places: Sequence[str] = [*_places(model_folder), f"{store.place}/"]
        self.read_here: Collection[str] | None = READ_HERE
        self.problems: dict[int, str] = {}
        self.state: TrialState = (state := S3State(store, model_folder))
        self._read_state = state.read
        self._store = store
        self._poll_s = poll_s
        self._listing: Listing = {}
        self._looked_at: dict[int, frozenset[object]] = {}
        self._read_through: dict[int, frozenset[object]] = {}

    def exists(self, number: int) -> bool:
        """Whether the version was in the last listing, or is in the cache."""
        return number in self._listing or (self.model_folder / str(number)).is_dir()

    def is_gone(self, number: int) -> bool:
        """Whether there was a listing, and it is not in the last one; a bucket without any version tells nothing."""
        return bool(self._listing) and not self.exists(number)

    def prepare(self, number: int) -> None:
        """Compare what is in the cache with its digests; what is not there, or damaged, is fetched again."""
        folder = self.model_folder / str(number)
        try:
            Manifest.read(folder).verify_files(folder, READ_HERE)
        except RepositoryError as error:
            if folder.exists():
                logger.warning("The cached files of version %d are fetched again: %s", number, error)
            self._fetch(number, folder, READ_HERE)

    def read(self, number: int, name: str) -> bytes | None:
        """Return one file of a version, as its manifest describes it; fetched when it is first asked for."""
        folder = self.model_folder / str(number)
        if not self.exists(number):
            return None
        try:
            manifest = Manifest.read(folder)
        except RepositoryError:
            manifest = self._store.manifest(number)
        if name not in manifest.files:
            return None
        try:
            manifest.verify_files(folder, (name,))
        except RepositoryError:
            self._fetch(number, folder, (name,))
        return (folder / name).read_bytes()

    def _fetch(self, number: int, folder: Path, names: Collection[str]) -> None:
        self.model_folder.mkdir(parents=True, exist_ok=True)
        with staging_in(self.model_folder) as staging:
            self._store.fetch(number, staging, names)
            folder.mkdir(exist_ok=True)
            for path in staging.iterdir():  # each whole or not at all: another gateway may read it now
                path.rename(folder / path.name)

    async def follow(self, served: Callable[[], Collection[int]]) -> None:
        """Look at the bucket until cancelled; `served` says which versions Triton lists."""
        problem = Problem(logger)
        while True:
            try:
                await asyncio.to_thread(self.look, served())
            except Exception as error:  # whatever lies in the bucket or the cache: the next look may go well
                problem.tell("The repository cannot be looked at", error)
            else:
                problem.over()
            await asyncio.sleep(self._poll_s)

    def look(self, served: Collection[int]) -> None:
        """Fetch what the newest versions need, and find out which of them are damaged.

        Raises:
            RepositoryError: S3 cannot be asked.
        """
        listing = self._store.listing()
        self._read_state(listing)  # before a version is cached, so that the record which is kept knows of it
        self._listing = listing
        newest = sorted(self._listing)[-WATCHED:]
        for number in newest:
            found = frozenset(self._listing[number].values())
            if self._looked_at.get(number) != found:
                self._judge(number, whole=False)
                self._looked_at[number] = found
            elif number not in served and number not in self.problems and self._read_through.get(number) != found:
                self._judge(number, whole=True)
                self._read_through[number] = found
        self.problems = {number: why for number, why in self.problems.items() if number in self._listing}
        for number in numbers_in(self.model_folder):
            if self._listing and number not in self._listing and number not in served:
                shutil.rmtree(self.model_folder / str(number), ignore_errors=True)

    def _judge(self, number: int, whole: bool) -> None:
        try:
            self.prepare(number)
            manifest = Manifest.read(self.model_folder / str(number))
            others = [name for name in manifest.files if name not in READ_HERE]
            self._store.verify_labels(number, manifest, others)
            if whole:
                self._store.verify(number)
        except AwayError:
            raise
        except RepositoryError as error:
            self.problems = {**self.problems, number: str(error)}
        else:
            self.problems = {other: why for other, why in self.problems.items() if other != number}


def _places(folder: Path) -> list[str]:
    return [f"{folder.resolve()}/", f"{folder}/"]


def stamps_of(folder: Path, manifest: Manifest) -> FileStamps:
    """Name, size and time of change of each file of a version that is in the folder."""
    found = []
    for name in manifest.files:
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def version_files(settings: GatewaySettings) -> LocalFiles | S3Files:
    """Where the gateway reads versions. Raises RepositoryError: in S3, which cannot be used as things are set."""
    folder = settings.local_copy(READER) / settings.model_name
    if isinstance(settings.model_repository, S3Location):
        store = S3Store(settings.model_repository, settings.model_name)
        return S3Files(store, folder, settings.repository_poll_seconds)
    return LocalFiles(folder)
