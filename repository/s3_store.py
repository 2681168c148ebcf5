"""The versions of one model in S3.

A version's files are uploaded first and its manifest last: without a manifest there is no version, so that an upload
which was cut off, or is under way, is nothing to a reader. Retracting goes the other way, the manifest first. Numbers
are given out by objects that only one publisher can create, and that stay, so that a number is never used twice.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from repository.bucket import AwayError, Bucket, NotChangedError, StoredObject
from repository.candidates.trial import Plan, Trials, begun_alone, refuse_over, state_name
from repository.history import Version, VersionHistory, check_keep, next_number
from repository.location import S3Location
from repository.manifest import CONFIG_FILE, MANIFEST_FILE, MODEL_FILE, FileDigest, Manifest, RepositoryError
from repository.names import is_model_name, is_version_name
from repository.probe import probe_graph

NUMBERS = ".numbers"
"""Folder beside the versions that holds one empty object for each number ever given out; Triton takes no notice."""

WRITES_TRIED = 8
"""Of the record of trials, while others write it, too: each of them has a reason to write it once."""

Listing = Mapping[int, Mapping[str, StoredObject]]
"""For each version number the objects of its folder, by name."""


class S3Store(VersionHistory):
    """One model below `location`."""

    def __init__(self, location: S3Location, model_name: str) -> None:
        self.model_name = model_name
        self.location = location / model_name
        self._bucket = Bucket(self.location)
        self._root = self._bucket.at(location)

    @property
    def place(self) -> str:
        """The model's address."""
        return str(self.location)

    def listing(self) -> Listing:
        """The files of every version that has its manifest, by number, oldest first; one request a thousand files."""
        return {number: files for number, files in self._folders().items() if MANIFEST_FILE in files}

    def numbers(self) -> list[int]:
        """Numbers of the versions that have their manifest, oldest first."""
        return list(self.listing())

    def incomplete(self) -> list[int]:
        """Numbers whose manifest is missing: their upload was cut off, or is under way."""
        return [number for number, files in self._folders().items() if MANIFEST_FILE not in files]

    def version(self, number: int) -> Version:
        """One version with its manifest, or with the reason why that can't be read."""
        try:
            return Version(number, self.manifest(number))
        except AwayError:
            raise
        except RepositoryError as error:
            return Version(number, None, str(error))

    def manifest(self, number: int) -> Manifest:
        """A version's manifest. Raises RepositoryError: there is none, or it is not valid."""
        return Manifest.parse(self._bucket.read(f"{number}/{MANIFEST_FILE}")[0], f"{self.location}/{number}")

    def fetch(self, number: int, folder: Path, names: Collection[str] | None = None) -> Manifest:
        """Copy a version, or those of its files that `names` has, into a folder; each file is compared with its digest.

        Raises:
            RepositoryError: there is no such version, or a file is not the one that its manifest describes.
        """
        manifest = self.manifest(number)
        for name, expected in manifest.files.items():
            if names is None or name in names:
                with (folder / name).open("wb") as stream:
                    self._check(number, name, expected, stream.write)
        manifest.write(folder)
        return manifest

    def verify(self, number: int) -> None:
        """Raise RepositoryError unless every file of the version is the one its manifest describes; reads them all."""
        for name, expected in self.manifest(number).files.items():
            self._check(number, name, expected, len)

    def verify_labels(self, number: int, manifest: Manifest, names: Collection[str]) -> None:
        """The same of what these files say they are, which costs a request each, but no reading."""
        for name in names:
            found = self._bucket.published_digest(f"{number}/{name}")
            if found is not None and found != manifest.files[name]:
                raise _damaged(name)

    def replay(self, number: int) -> None:
        """Run a version's graph and its golden sentences on this machine, where ONNX Runtime is installed."""
        with tempfile.TemporaryDirectory(prefix="replay-") as folder:
            probe_graph(Path(folder), self.fetch(number, Path(folder)))

    def publish(self, source: Path, republished_from: int | None = None, plan: Plan | None = None) -> int:
        """Upload an exported version folder as the next version; returns its number."""
        manifest = Manifest.read(source)
        manifest.verify_files(source)
        probe_graph(source, manifest)
        if republished_from is not None:
            manifest = manifest.model_copy(update={"republished_from": republished_from})
        refuse_over(self.trials())
        self.refuse_untried(plan)
        number = self._next_number()
        if plan is not None:  # before the version is there, so that nobody takes it for one that may answer
            self.change_trials(lambda trials: begun_alone(trials, number, plan))
        # The graph last of all files: a Triton that reads the bucket by itself takes a folder with a graph for whole.
        names = sorted(manifest.files, key=lambda name: name == MODEL_FILE)
        try:
            for name in names:
                self._bucket.upload(source / name, f"{number}/{name}", manifest.files[name])
            self._bucket.write(f"{number}/{MANIFEST_FILE}", manifest.text().encode())
        except BaseException:
            with contextlib.suppress(RepositoryError):  # what is left is no version: the manifest is missing
                self._delete(number)
                self._end_trial(number, "its upload was cut off")
            raise
        return number

    def republish(self, number: int) -> int:
        """Publish a version's content once more, as the next number. Raises RepositoryError: it is damaged or gone."""
        if number not in self.numbers():
            raise self._missing(number)
        with tempfile.TemporaryDirectory(prefix="republish-") as folder:
            self.fetch(number, Path(folder))
            return self.publish(Path(folder), republished_from=number)

    def config(self) -> str:
        """The text of `config.pbtxt`. Raises RepositoryError: there is none."""
        return self._config()[0]

    def ensure_config(self, text: str) -> None:
        """Write `config.pbtxt` unless there is one."""
        try:
            self._bucket.write(CONFIG_FILE, text.encode(), IfNoneMatch="*")
        except NotChangedError:
            return  # there is one

    def change_config(self, change: Callable[[str], str]) -> None:
        """Write `change(text)` in place of the text of `config.pbtxt`, unless somebody else changes it meanwhile."""
        text, etag = self._config()
        self._bucket.write(CONFIG_FILE, change(text).encode(), IfMatch=etag)

    def _config(self) -> tuple[str, str]:
        content, etag = self._bucket.read(CONFIG_FILE)
        try:
            return content.decode(), etag
        except UnicodeDecodeError:
            raise RepositoryError(f"{self.location}/{CONFIG_FILE} is no text") from None

    def retract(self, number: int) -> None:
        """Delete one version, or what an upload that was cut off has left."""
        if number not in self._folders():
            raise self._missing(number)
        self._end_trial(number, "retracted by hand")
        self._use_up(number)  # whoever put it there: it must not come again with other content
        self._delete(number)

    def prune(self, keep: int, spared: int | None = None) -> list[int]:
        """Delete all but the newest `keep` versions and the `spared` one; returns the numbers deleted."""
        check_keep(keep)
        doomed = self._doomed(keep, spared)
        for number in doomed:
            self._delete(number)
        return doomed

    def trials(self) -> Trials:
        """The trials of candidates; none where there is no record."""
        return self._trials()[0]

    def change_trials(self, change: Callable[[Trials], Trials]) -> Trials:
        """Put `change` of the record in its place, by a write that holds only if nobody else has changed it."""
        for _ in range(WRITES_TRIED):
            trials, etag = self._trials()
            if (changed := change(trials)) == trials:
                return trials
            condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
            with contextlib.suppress(NotChangedError):
                self._root.write(state_name(self.model_name), changed.text().encode(), **condition)
                return changed
        raise AwayError(f"{self.location}: others change the record of trials all the time: try again")

    def _trials(self) -> tuple[Trials, str]:
        """The record and its ETag, which is empty where there is no record."""
        name = state_name(self.model_name)
        try:
            content, etag = self._root.read(name)
        except AwayError:
            raise
        except RepositoryError:  # it is missing
            return Trials(), ""
        return Trials.parse(content, f"{self._root.location}/{name}"), etag

    def _end_trial(self, number: int, reason: str) -> None:
        if (running := self.trials().running) is not None and running.version == number:
            self.change_trials(lambda trials: trials.ended(number, "rejected", reason))

    def _delete(self, number: int) -> None:
        self._bucket.delete(f"{number}/{MANIFEST_FILE}")
        for item in self._bucket.list(f"{number}/"):
            self._bucket.delete(item.name)

    def _next_number(self) -> int:
        names = (item.name.rpartition("/")[2] for item in self._bucket.list(f"{NUMBERS}/"))
        used = [*self._folders(), *(int(name) for name in names if is_version_name(name))]
        while True:
            number = next_number(used)
            if self._use_up(number):
                return number
            used.append(number)  # another publisher's

    def _use_up(self, number: int) -> bool:
        """Give the number out for good; returns whether it was free, as that of a version put there by hand is."""
        try:
            self._bucket.write(f"{NUMBERS}/{number}", b"", IfNoneMatch="*")
        except NotChangedError:
            return False
        return True

    def _folders(self) -> dict[int, dict[str, StoredObject]]:
        folders: dict[int, dict[str, StoredObject]] = {}
        for item in self._bucket.list():
            number, _, name = item.name.partition("/")
            if is_version_name(number) and name:
                folders.setdefault(int(number), {})[name] = item
        return dict(sorted(folders.items()))

    def _check(self, number: int, name: str, expected: FileDigest, sink: Callable[[bytes], object]) -> None:
        """Read one file into `sink` and compare it with its digest."""
        sha256, size = hashlib.sha256(), 0
        for chunk in self._bucket.chunks(f"{number}/{name}"):
            sha256.update(chunk)
            size += len(chunk)
            sink(chunk)
        if FileDigest(sha256=sha256.hexdigest(), size_bytes=size) != expected:
            raise _damaged(name)


def model_names(location: S3Location) -> list[str]:
    """Names of the models below a location: the folders that hold a `config.pbtxt`, if a model may be called so.

    A key in S3 can be any text: as a name it becomes a folder.
    """
    parts = [item.name.split("/") for item in Bucket(location).list()]
    return sorted(part[0] for part in parts if part[1:] == [CONFIG_FILE] and is_model_name(part[0]))


def _damaged(name: str) -> RepositoryError:
    return RepositoryError(f"{name} is not the file that {MANIFEST_FILE} describes: publish the version again")
