"""Where do gateways keep what they have counted of a candidate, so that any of them, and a command, can add it up?

A file for each process, which that process alone writes, in a folder or in S3; whoever wants the sum reads them all.
"""

import contextlib
import re
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from repository.bucket import Bucket, StoredObject
from repository.candidates.tally import Tally
from repository.location import S3Location
from repository.staging import write_whole

_OWN_PART = re.compile(r"[0-9a-f]{16}\.(json|new|tmp)")
"""What is left of a tally's name without what all of its trial begin with; the names of other models do not fit."""


class TallyPlace(Protocol):
    """The tallies of one model."""

    def write(self, version: int, process: str, tally: Tally) -> None:
        """Write what a process has counted in the trial of a version, in place of what it had."""

    def read(self, version: int) -> list[Tally]:
        """What every process has counted in that trial; a file that cannot be read is left out."""

    def remove(self, version: int, process: str) -> None:
        """Delete what a process has counted in that trial; nothing is no mistake."""

    def clear(self, version: int) -> None:
        """Delete what was counted in that trial."""


class LocalTallies:
    """In a folder, which gateways on several machines may share."""

    def __init__(self, folder: Path, model_name: str) -> None:
        self._folder = folder
        self._model_name = model_name

    def write(self, version: int, process: str, tally: Tally) -> None:
        """Raises OSError: it cannot be written there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{_prefix(self._model_name, version)}{process}.json"
        write_whole(path, tally.model_dump_json(), self._folder / self._model_name, durable=False)

    def read(self, version: int) -> list[Tally]:
        """Raises OSError: the folder cannot be read."""
        contents = []
        for path in self._paths(version):
            if path.suffix == ".json":
                with contextlib.suppress(FileNotFoundError):  # its trial has just ended
                    contents.append(path.read_bytes())
        return _parsed(contents)

    def remove(self, version: int, process: str) -> None:
        """Raises OSError: the folder cannot be written."""
        (self._folder / f"{_prefix(self._model_name, version)}{process}.json").unlink(missing_ok=True)

    def clear(self, version: int) -> None:
        """Raises OSError: the folder cannot be written."""
        for path in self._paths(version):
            path.unlink(missing_ok=True)

    def _paths(self, version: int) -> list[Path]:
        prefix = _prefix(self._model_name, version)
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if _is_own(path.name, prefix)]


class S3Tallies:
    """Below a location in S3. Each raises RepositoryError: S3 cannot be asked."""

    def __init__(self, location: S3Location, model_name: str) -> None:
        self._bucket = Bucket(location)
        self._model_name = model_name
        self._known: dict[str, tuple[str, bytes]] = {}  # content by name, with the ETag it had

    def write(self, version: int, process: str, tally: Tally) -> None:
        """One request."""
        self._bucket.write(f"{_prefix(self._model_name, version)}{process}.json", tally.model_dump_json().encode())

    def read(self, version: int) -> list[Tally]:
        """A listing, and one request for each file that has changed."""
        known = {}
        for item in self._listed(version):
            etag, content = self._known.get(item.name, ("", b""))
            if etag != item.etag:
                content, etag = self._bucket.read(item.name)
            known[item.name] = (etag, content)
        self._known = known
        return _parsed([content for _, content in known.values()])

    def remove(self, version: int, process: str) -> None:
        """One request."""
        self._bucket.delete(f"{_prefix(self._model_name, version)}{process}.json")

    def clear(self, version: int) -> None:
        """One request for each file."""
        for item in self._listed(version):
            self._bucket.delete(item.name)

    def _listed(self, version: int) -> list[StoredObject]:
        prefix = _prefix(self._model_name, version)
        return [item for item in self._bucket.list(prefix) if _is_own(item.name, prefix)]


def tallies_at(location: Path | S3Location, model_name: str) -> TallyPlace:
    """The tallies of a model at a place. Raises RepositoryError: S3 needs boto3."""
    if isinstance(location, S3Location):
        return S3Tallies(location, model_name)
    return LocalTallies(location, model_name)


def _prefix(model_name: str, version: int) -> str:
    return f".candidate-{model_name}.{version}."


def _is_own(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and _OWN_PART.fullmatch(name[len(prefix) :]) is not None


def _parsed(contents: list[bytes]) -> list[Tally]:
    found = []
    for content in contents:
        with contextlib.suppress(ValidationError):  # somebody else's, or of another version of this program
            found.append(Tally.model_validate_json(content))
    return found
