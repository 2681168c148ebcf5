"""What can be done with the versions of a model wherever they are: list, verify, publish, roll back, retract, prune."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from repository.candidates.trial import Plan, Trials
from repository.manifest import Manifest, RepositoryError
from repository.names import is_version_name


@dataclass(frozen=True)
class Version:
    """One version; `manifest` is None where `problem` says why it cannot be read."""

    number: int
    manifest: Manifest | None
    problem: str | None = None


class VersionHistory(ABC):
    """The versions of one model in one place."""

    model_name: str

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the model is, for people."""

    @abstractmethod
    def numbers(self) -> list[int]:
        """Version numbers that are there, oldest first."""

    @abstractmethod
    def version(self, number: int) -> Version:
        """One version with its manifest, or with the reason why that can't be read."""

    @abstractmethod
    def verify(self, number: int) -> None:
        """Raise RepositoryError unless every file of the version is the one its manifest describes."""

    @abstractmethod
    def replay(self, number: int) -> None:
        """Run a version's graph and its golden sentences on this machine, where ONNX Runtime is installed.

        Raises:
            RepositoryError: it does not run here, or answers otherwise than PyTorch did at export.
        """

    @abstractmethod
    def publish(self, source: Path, republished_from: int | None = None, plan: Plan | None = None) -> int:
        """Copy an exported version folder in as the next version; returns its number.

        Only the files that the manifest lists are copied, each checked against its digest on the way, and the graph
        is tried, with the golden sentences, where ONNX Runtime is installed.

        Args:
            source: the version folder.
            republished_from: the version whose content it is.
            plan: how it is tried before it answers; None lets it answer as soon as it is served.

        Raises:
            RepositoryError: the source is no version folder, its files do not match its manifest, it does not run, its
                answers to golden sentences are off here, or another version is on trial.
        """

    @abstractmethod
    def republish(self, number: int) -> int:
        """Publish a version's content once more, as the next number. Raises RepositoryError: it is damaged or gone."""

    @abstractmethod
    def config(self) -> str:
        """The text of `config.pbtxt`. Raises RepositoryError: there is none."""

    @abstractmethod
    def ensure_config(self, text: str) -> None:
        """Write `config.pbtxt` unless there is one: Triton reloads every version of a model whose config changes."""

    @abstractmethod
    def change_config(self, change: Callable[[str], str]) -> None:
        """Write `change(text)` in place of the text of `config.pbtxt`; a running Triton follows within seconds.

        Raises:
            RepositoryError: there is no config, or `change` refuses it.
        """

    @abstractmethod
    def retract(self, number: int) -> None:
        """Delete one version, such as a broken one that keeps Triton from loading its neighbour.

        Raises:
            RepositoryError: there is no such version.
        """

    @abstractmethod
    def trials(self) -> Trials:
        """The trials of candidates. Raises RepositoryError: their record cannot be read."""

    @abstractmethod
    def change_trials(self, change: Callable[[Trials], Trials]) -> Trials:
        """Put `change` of the record in its place, whoever else changes it meanwhile; returns what is there then.

        Raises:
            RepositoryError: it cannot be read or written, or `change` refuses it.
        """

    @abstractmethod
    def prune(self, keep: int, spared: int | None = None) -> list[int]:
        """Delete all but the newest `keep` versions and the `spared` one; returns the numbers deleted.

        Raises:
            ValueError: keep is below 2; the version before the current one may still be answering requests.
        """

    def versions(self) -> list[Version]:
        """Every version with its manifest, oldest first."""
        return [self.version(number) for number in self.numbers()]

    def rollback(self, target: int | None = None) -> tuple[int, int]:
        """Publish an older version's content as a new number; returns (older number, new number).

        Without a target, the newest readable version that may answer otherwise than the current one is taken. Versions
        that are on trial, or were rejected, count for nothing.

        Raises:
            RepositoryError: there is no such version, or its files do not match its manifest.
        """
        if target is None:
            target = self._previous()
        return target, self.republish(target)

    def _previous(self) -> int:
        aside = self.trials().set_aside
        readable = [v for v in self.versions() if v.manifest is not None and v.number not in aside]
        if not readable:
            raise RepositoryError(f"nothing to roll back to: {self._known()}")
        current = readable[-1]
        for candidate in reversed(readable[:-1]):
            if candidate.manifest and current.manifest and not candidate.manifest.answers_as(current.manifest):
                return candidate.number
        raise RepositoryError(f"nothing to roll back to: no older version differs from version {current.number}")

    def answering(self) -> list[int]:
        """Numbers of the versions that may answer, oldest first: all but those on trial and those rejected."""
        aside = self.trials().set_aside
        return [number for number in self.numbers() if number not in aside]

    def _doomed(self, keep: int, spared: int | None) -> list[int]:
        """What `prune` deletes. Of the versions that may answer, so that a candidate takes no other one's place."""
        return [number for number in self.answering()[:-keep] if number != spared]

    def refuse_untried(self, plan: Plan | None) -> None:
        """Raise RepositoryError for a trial while no version answers: a candidate is compared with one."""
        if plan is not None and not self.answering():
            raise RepositoryError(
                f"no version of {self.model_name} answers yet: publish this one without --as candidate"
            )

    def _missing(self, number: int) -> RepositoryError:
        return RepositoryError(f"version {number} of {self.model_name} does not exist: {self._known()}")

    def _known(self) -> str:
        numbers = self.numbers()
        return f"{self.place} holds " + (f"versions {', '.join(map(str, numbers))}" if numbers else "no version")


def next_number(used: Iterable[int]) -> int:
    """The number after all that were ever used. Raises RepositoryError: there is none."""
    number = max(used, default=0) + 1
    if not is_version_name(str(number)):
        raise RepositoryError(f"there is no version number after {number - 1}: take a new model name")
    return number


def check_keep(keep: int) -> None:
    """Raise ValueError below 2."""
    if keep < 2:
        raise ValueError("keep must be at least 2: the previous version may still be answering requests")
