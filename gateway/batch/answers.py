"""Which columns does a run add? Labels and scores as `/classify` gives them, and the version."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gateway.batch.errors import UsageError
from gateway.ranking import many_can_be_true, ranked
from repository.inference import Float32Array
from repository.manifest import Manifest, ProblemType
from repository.meaning.arithmetic import Float64Array
from repository.meaning.calibration import CALIBRATE_COMMAND
from repository.spelling import as_called

DIGITS = 6
"""Significant digits of a score: what is past them differs between batches."""


DEFAULT_THRESHOLD = 0.5


class Given(Protocol):
    """What a version gave for one text."""

    @property
    def logits(self) -> Float32Array:
        """`[labels]`"""

    @property
    def scores(self) -> Float32Array:
        """`[labels]`"""


@dataclass(frozen=True)
class AnswerNames:
    """What was said of the columns to be added; part of what a run that goes on must have said, too."""

    label: str = "label"
    score: str = "score"
    version: str = "model_version"
    top_k: int | None = None
    all_labels: bool = False
    threshold: float | None = None
    """None: the version's own thresholds, or 0.5."""
    calibrated: bool = False
    insists: bool = False
    """Calibrated scores were asked for by an option: a version that has none is refused."""

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


class AnswerColumns:
    """The columns that one version's answers make."""

    def __init__(self, said: AnswerNames, manifest: Manifest, version: int) -> None:
        """Raises UsageError: the model has no such answer."""
        self._said = said
        self._manifest = manifest
        self._version = version
        self.is_number = manifest.problem_type is ProblemType.REGRESSION
        self._many = many_can_be_true(manifest)
        self._calibration = manifest.calibration if said.calibrated else None
        self._threshold = _threshold(said, manifest)
        if self.is_number and said.top_k is not None:
            raise UsageError(f"--top-k: version {version} answers a number, not labels.")
        if said.insists and manifest.calibration is None:
            command = as_called(f"{CALIBRATE_COMMAND} {version} --data FILE")
            raise UsageError(f"--calibrated: version {version} has no calibration; `{command}` publishes one that has.")
        lists = self._many and said.top_k is None
        self.types: dict[str, str] = {}
        """Column and type, in their order: `string`, `strings`, `double`, `doubles` or `int64`."""
        self._twice: list[str] = []
        if not self.is_number:
            self._add(said.label, "strings" if lists else "string")
        if not self.is_number or len(manifest.labels) == 1:
            self._add(said.score, "doubles" if lists else "double")
        for place in range(2, 1 + min(said.top_k or 1, len(manifest.labels))):
            self._add(f"{said.label}_{place}", "string")
            self._add(f"{said.score}_{place}", "double")
        self._each = said.all_labels or (self.is_number and len(manifest.labels) > 1)
        if self._each:
            for label in manifest.labels:
                self._add(f"{said.score}_{label}", "double")
        self._add(said.version, "int64")

    def _add(self, name: str, kind: str) -> None:
        if name in self.types:
            self._twice.append(name)
        self.types[name] = kind

    def check(self, columns: Sequence[str]) -> None:
        """Raises UsageError: a column of the file, or of the answer, has the name of another."""
        if self._twice:
            raise UsageError(
                f"two of the answer's columns are called {self._twice[0]}: give --label-column or --score-column."
            )
        taken = [name for name in self.types if name in columns]
        if taken:
            said = self._said
            option = {said.label: "--label-column", said.version: "--version-column"}.get(taken[0], "--score-column")
            raise UsageError(f"there is a column {taken[0]} already, which is kept; name the answer's with {option}.")

    def values(self, given: Given) -> list[Any]:
        """Return the answer to one text, from its logits and scores, a value for each column."""
        scores: npt.NDArray[np.floating[Any]] = given.scores
        if self._calibration is not None:
            scores = self._calibration.scores(given.logits)
        if self.is_number:
            found: list[Any] = [] if len(scores) > 1 else [_rounded(scores[0])]
        else:
            best = ranked(scores, self._manifest, self._said.top_k, self._threshold)
            if self._many and self._said.top_k is None:
                found = [[one["label"] for one in best], [_rounded(one["score"]) for one in best]]
            else:
                found = [part for one in best for part in (one["label"], _rounded(one["score"]))]
        if self._each:
            found += [_rounded(score) for score in scores.tolist()]
        return [*found, self._version]

    def empty(self) -> list[Any]:
        """Return what stands there for a text that has no answer."""
        return [*[None] * (len(self.types) - 1), self._version]

    @property
    def labels(self) -> list[str]:
        """All labels that an answer can name; of a number none."""
        return [] if self.is_number else list(self._manifest.labels)


def _threshold(said: AnswerNames, manifest: Manifest) -> float | Float64Array:
    if said.threshold is not None or manifest.thresholds is None:
        return DEFAULT_THRESHOLD if said.threshold is None else said.threshold
    return manifest.thresholds.shown(manifest.calibration if said.calibrated else None)


def _rounded(score: float) -> float:
    return float(f"{float(score):.{DIGITS}g}")
