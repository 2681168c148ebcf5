"""Where the versions of the service under test lie: a folder, on a small file system where one can be had, or S3."""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from repository.config import ModelConfig
from repository.location import S3Location
from repository.manifest import MANIFEST_FILE, RepositoryError
from repository.s3_store import S3Store
from repository.staging import is_staging
from repository.store import ModelStore
from tests.nemesis.s3_cut import Door
from tests.s3_server import BUCKET, CREDENTIALS, S3Server, environment, s3_server

MODEL = "classifier"
SMALL_MB = 16
_CLONE_NEWNS = 0x20000  # linux/sched.h
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # linux/mount.h
_libc = ctypes.CDLL(None, use_errno=True)


class Place(Protocol):
    """A repository of one model."""

    address: str
    """As MODEL_REPOSITORY."""
    settings: dict[str, str]
    """Environment of the service and of commands."""

    @property
    def store(self) -> ModelStore | S3Store:
        """For who looks on: no fault comes between."""

    @property
    def copy(self) -> Path | None:
        """Triton's copy of the model's versions, where it does not read the repository itself."""

    def contents(self) -> dict[int, str | None]:
        """The name of each version's content; None where its manifest cannot be read. For the one who writes."""

    def put(self, number: int, version: Path) -> None:
        """Put a version into place past `publish`, as another tool might."""

    def left(self) -> list[str]:
        """What lies there and is no version, and should not."""


class Folder:
    """A repository on a disk."""

    def __init__(self, repository: Path) -> None:
        self.address = str(repository)
        self.settings: dict[str, str] = {}
        self.copy: Path | None = None
        self.store = ModelStore(repository, MODEL)
        self.store.folder.mkdir(parents=True)
        self.store.ensure_config(ModelConfig(MODEL).to_pbtxt())

    def contents(self) -> dict[int, str | None]:
        """Each version's content."""
        return {
            version.number: version.manifest.source if version.manifest else None for version in self.store.versions()
        }

    def put(self, number: int, version: Path) -> None:
        """By one rename."""
        beside = self.store.folder / ".by-hand"
        shutil.copytree(version, beside)
        beside.rename(self.store.folder / str(number))

    def left(self) -> list[str]:
        """Folders of writers that are no more."""
        return [path.name for path in self.store.folder.iterdir() if is_staging(path.name)]


class Remote:
    """A repository in S3, behind a door that can be shut for the service, and is open for who looks on."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.door = Door(server.port)
        self.server = server
        self.address = f"s3://127.0.0.1:{self.door.port}/{BUCKET}/repository"
        self.settings = {"MODEL_CACHE": str(folder / "cache"), "REPOSITORY_POLL_SECONDS": "0.5"}
        self.store = S3Store(S3Location.parse(server.repository("repository")), MODEL)
        self.store.ensure_config(ModelConfig(MODEL).to_pbtxt())
        self._cache = folder / "cache"

    @property
    def copy(self) -> Path | None:
        """Triton's copy."""
        return next(iter((self._cache / "triton").glob(f"**/{MODEL}")), None)

    def contents(self) -> dict[int, str | None]:
        """Each version's content."""
        found: dict[int, str | None] = {}
        for number in self.store.numbers():
            try:
                found[number] = self.store.manifest(number).source
            except RepositoryError:
                found[number] = None
        return found

    def put(self, number: int, version: Path) -> None:
        """The manifest last."""
        for path in sorted(version.iterdir(), key=lambda each: each.name == MANIFEST_FILE):
            self.server.write(f"{self.store.location.prefix}/{number}/{path.name}", path.read_bytes())

    def left(self) -> list[str]:
        """Half copies on this machine; what an upload that was killed leaves in the bucket is told by `list`."""
        return [str(path.relative_to(self._cache)) for path in self._cache.glob("**/*") if is_staging(path.name)]


@contextlib.contextmanager
def folder_place(folder: Path, small: bool) -> Iterator[Folder]:
    """A repository in a folder, on a file system of its own if it is to be small."""
    disk = folder / "disk"
    disk.mkdir()
    if small:
        _mount_small(disk)
    try:
        yield Folder(disk / "repository")
    finally:
        if small:
            _libc.umount2(os.fsencode(disk), 2)  # MNT_DETACH: whoever is still in it does not hold it


@contextlib.contextmanager
def s3_place(folder: Path) -> Iterator[Remote]:
    """A repository in an S3 server that is started here."""
    with environment(CREDENTIALS), s3_server(folder / "s3.log") as server:
        yield Remote(server, folder)


def own_mounts() -> bool:
    """Whether this process and those that it starts now see mounts of their own, which end with them.

    It takes root's rights, and has to come before any thread is started.
    """
    return bool(_libc.unshare(_CLONE_NEWNS) == 0 and _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) == 0)


def _mount_small(disk: Path) -> None:
    """Mount ext4 in a file there, or what lies in memory where that cannot be had: it makes folders though it is full.

    Raises:
        OSError: neither can be had.
    """
    image = disk.with_suffix(".ext4")
    commands = (
        ["mkfs.ext4", "-q", "-m", "0", str(image), f"{SMALL_MB}M"],
        ["mount", "-o", "loop", str(image), str(disk)],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        if _libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, f"size={SMALL_MB}m".encode()) != 0:
            raise OSError(ctypes.get_errno(), "cannot be mounted", str(disk)) from None
