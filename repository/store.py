"""The versions of one model on disk: list, publish, roll back, prune and verify them.

A version is written into a folder beside its final place and renamed into it, so that Triton, which polls the folder,
finds it whole or not at all. What is there besides has names for which Triton loads no version again (see
`repository.staging` and `repository.used_numbers`).
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from repository.candidates.trial import Plan, Trials, refuse_over, state_name
from repository.disk import flush
from repository.history import Version, VersionHistory, check_keep, next_number
from repository.location import S3Location
from repository.manifest import CONFIG_FILE, MANIFEST_FILE, Manifest, RepositoryError, digest_file
from repository.names import is_version_name
from repository.probe import probe_graph
from repository.settings import RepositorySettings
from repository.spelling import as_called
from repository.staging import delete_whole, new_staging, remove_leftovers, write_whole
from repository.student_view import update_view
from repository.used_numbers import UsedNumbers


class ModelStore(VersionHistory):
    """The folder of one model in the repository."""

    def __init__(self, repository: Path, model_name: str) -> None:
        self.model_name = model_name
        self.folder = repository / model_name
        self._state = repository / state_name(model_name)
        self._used = UsedNumbers(self.folder)

    @classmethod
    def from_settings(cls, settings: RepositorySettings) -> "ModelStore":
        """The store that the environment names. Raises RepositoryError: it is in S3, and a folder is needed."""
        if isinstance(settings.model_repository, S3Location):
            raise RepositoryError(
                f"MODEL_REPOSITORY is {settings.model_repository}: a folder is needed here, "
                f"and `{as_called('python -m repository sync')} FOLDER` makes one of it"
            )
        return cls(settings.model_repository, settings.model_name)

    @property
    def place(self) -> str:
        """The model's folder."""
        return str(self.folder)

    def numbers(self) -> list[int]:
        """Version numbers on disk, oldest first."""
        return numbers_in(self.folder)

    def version(self, number: int) -> Version:
        """One version with its manifest, or with the reason why that can't be read."""
        folder = self.folder / str(number)
        try:
            return Version(number, Manifest.read(folder))
        except RepositoryError as error:
            return Version(number, None, str(error))

    def verify(self, number: int) -> None:
        """Raise RepositoryError unless every file of the version is the one its manifest describes."""
        folder = self.folder / str(number)
        if not folder.is_dir():
            raise self._missing(number)
        Manifest.read(folder).verify_files(folder)

    def replay(self, number: int) -> None:
        """Run a version's graph and its golden sentences on this machine, where ONNX Runtime is installed."""
        folder = self.folder / str(number)
        probe_graph(folder, Manifest.read(folder))

    def publish(self, source: Path, republished_from: int | None = None, plan: Plan | None = None) -> int:
        """Copy an exported version folder in as the next version; returns its number."""
        manifest = Manifest.read(source)
        if republished_from is not None:
            manifest = manifest.model_copy(update={"republished_from": republished_from})
        with self._locked() as last_number:
            trials = self.trials()
            if trials.running is not None and trials.running.version in self.numbers():
                refuse_over(trials)
            self.refuse_untried(plan)
            staging = new_staging(self.folder)
            try:
                _copy_version(source, staging, manifest)
                probe_graph(staging, manifest)
                number = next_number([last_number, *self.numbers()])
                if plan is not None:
                    # Before the version is there, so that nobody takes it for one that may answer; and its number is
                    # used up before that, so that a publisher who is killed here leaves it to no other version.
                    self._remember(number)
                    self._write_trials(trials.begun(number, plan))
                staging.rename(self.folder / str(number))
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                if self.trials() != trials:
                    self._write_trials(trials)
                raise
            flush(self.folder)
            self._remember(number)
            update_view(self.folder)
        return number

    def ensure_config(self, text: str) -> None:
        """Write `config.pbtxt` unless there is one: Triton reloads every version of a model whose config changes."""
        path = self.folder / CONFIG_FILE
        if path.exists():
            return
        with self._locked():
            if not path.exists():  # else another publisher's
                self._write_config(text)
                update_view(self.folder)

    def change_config(self, change: Callable[[str], str]) -> None:
        """Write `change(text)` in place of the text of `config.pbtxt`; a running Triton follows within a second or two.

        Raises:
            RepositoryError: there is no config, or `change` refuses it.
        """
        with self._locked():
            self._write_config(change(self.config()))
            update_view(self.folder)

    def serve_students(self) -> None:
        """Let Triton serve the students of the versions that are there; what writes through this store does so."""
        with self._locked():
            update_view(self.folder)

    def config(self) -> str:
        """The text of `config.pbtxt`. Raises RepositoryError: there is none."""
        path = self.folder / CONFIG_FILE
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RepositoryError(f"{path} is missing: publish a version first") from None

    def _write_config(self, text: str) -> None:
        write_whole(self.folder / CONFIG_FILE, text, self.folder)

    def republish(self, number: int) -> int:
        """Publish a version's content once more, as the next number. Raises RepositoryError: it is damaged or gone."""
        self.verify(number)
        return self.publish(self.folder / str(number), republished_from=number)

    def retract(self, number: int) -> None:
        """Delete one version, such as a broken one that keeps Triton from loading its neighbour.

        Raises:
            RepositoryError: there is no such version.
        """
        with self._locked() as last_number:
            if number not in self.numbers():
                raise self._missing(number)
            trials = self.trials()
            if (ended := trials.ended(number, "rejected", "retracted by hand")) is not trials:
                self._write_trials(ended)
            self._remember(max([last_number, *self.numbers()]))
            update_view(self.folder, [number])
            delete_whole(self.folder / str(number), self.folder)

    def trials(self) -> Trials:
        """The trials of candidates; none where there is no record."""
        try:
            return Trials.parse(self._state.read_bytes(), str(self._state))
        except FileNotFoundError:
            return Trials()

    def change_trials(self, change: Callable[[Trials], Trials]) -> Trials:
        """Put `change` of the record in its place, under the lock."""
        with self._locked():
            trials = self.trials()
            if (changed := change(trials)) != trials:
                self._write_trials(changed)
            return changed

    def _write_trials(self, trials: Trials) -> None:
        write_whole(self._state, trials.text(), self.folder)

    def prune(self, keep: int, spared: int | None = None) -> list[int]:
        """Delete all but the newest `keep` versions and the `spared` one; returns the numbers deleted.

        Raises:
            ValueError: keep is below 2; the version before the current one may still be answering requests.
        """
        check_keep(keep)
        with self._locked() as last_number:
            numbers = self.numbers()
            # Remembered even if the newest folders are later removed by hand: a number is never used twice.
            self._remember(max([last_number, *numbers]))
            doomed = self._doomed(keep, spared)
            update_view(self.folder, doomed)
            for number in doomed:
                delete_whole(self.folder / str(number), self.folder)
        return doomed

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the one writer's place; yields the highest number ever used. Removes what a killed writer left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._used.locked():
            remove_leftovers(self.folder)
            yield self._used.last()

    def _remember(self, number: int) -> None:
        self._used.remember(number)


def numbers_in(folder: Path) -> list[int]:
    """Numbers of the versions in a model's folder, oldest first; whatever else lies there is somebody else's."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if is_version_name(entry.name))


def _copy_version(source: Path, staging: Path, manifest: Manifest) -> None:
    for name, expected in manifest.files.items():
        origin = source / name
        if origin.is_symlink() or not origin.is_file():
            raise RepositoryError(f"{origin} is missing or not a regular file")
        shutil.copyfile(origin, staging / name)
        if digest_file(staging / name) != expected:
            raise RepositoryError(f"{origin} is not the file that {MANIFEST_FILE} describes: export it again")
        flush(staging / name)
    manifest.write(staging)
    flush(staging / MANIFEST_FILE)
    # It was private until now; Triton may run as another user.
    staging.chmod(0o755)
    flush(staging)
