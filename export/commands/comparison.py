"""How two versions' answers to the same sentences differ; labels are matched by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from pydantic import BaseModel, ConfigDict

from export import ExportError
from export.parity.agreement import THRESHOLD, BoolArray, IntArray, same_answers
from export.parity.answers import Answers
from repository.inference import Float32Array
from repository.manifest import ProblemType
from training.data.examples import Target


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Shift(_Figures):
    """Absolute difference of scores: of A's best label, of the label that moves most, or of a regression's values."""

    median: float
    p95: float
    max: float


class Confusion(_Figures):
    """`rows[i][j]`: sentences that A labels `labels_a[i]` and B `labels_b[j]`."""

    labels_a: list[str]
    labels_b: list[str]
    rows: list[list[int]]


class LabelCounts(_Figures):
    """Multi-label: how many sentences have the label in both versions' answers, or in one's alone."""

    label: str
    both: int
    only_a: int
    only_b: int


class Change(_Figures):
    """One sentence's answers: labels with their scores, or the values of a regression."""

    sentence: str
    a: dict[str, float]
    b: dict[str, float]
    same: bool
    shift: float
    truth: Target | None = None


class CalibrationErrors(_Figures):
    """Expected calibration error of a version's scores as they are, and calibrated where it has a calibration."""

    plain: float
    calibrated: float | None


class Comparison(_Figures):
    """What two versions answer on the same sentences."""

    a: str
    b: str
    problem_type: ProblemType
    sentences: int
    only_in_a: list[str]
    only_in_b: list[str]
    reordered: bool
    agreement: float
    changed: int
    shift: Shift
    confusion: Confusion | None
    labels: list[LabelCounts] | None
    quality_a: dict[str, float] | None
    """Figures against the truth (`training.figures.scores`), where that is known."""
    quality_b: dict[str, float] | None
    calibration_a: CalibrationErrors | None
    """Where the truth is known, and numbers are no answers."""
    calibration_b: CalibrationErrors | None
    largest: list[Change]
    origin: str = ""
    """Which sentences were asked, in words."""


@dataclass(frozen=True)
class _Aligned:
    """Both versions' scores `[sentences, labels]` over the same labels; a label that a version lacks scores 0.

    `best_a` and `best_b` `[sentences]` are the places of the best labels; ties go to the label a version lists first.
    """

    problem_type: ProblemType
    labels: list[str]
    a: Float32Array
    b: Float32Array
    best_a: IntArray
    best_b: IntArray


def compare(a: Answers, b: Answers, sentences: Sequence[str], truth: Sequence[Target] | None, show: int) -> Comparison:
    """Compare; `show` is the number of sentences to list, those with another answer first.

    Raises:
        ExportError: the versions' answers are of different kinds.
    """
    problem_type = a.manifest.problem_type
    if problem_type is not b.manifest.problem_type:
        raise ExportError(
            f"answers of {problem_type.value} and {b.manifest.problem_type.value} models cannot be compared"
        )
    labels_a, labels_b = a.manifest.labels, b.manifest.labels
    aligned = _align(a, b)
    same = _same(aligned)
    shifts = _shifts(aligned)
    single = problem_type is ProblemType.SINGLE_LABEL
    return Comparison(
        a=str(a.folder),
        b=str(b.folder),
        problem_type=problem_type,
        sentences=len(sentences),
        only_in_a=[label for label in labels_a if label not in labels_b],
        only_in_b=[label for label in labels_b if label not in labels_a],
        reordered=labels_a != labels_b and sorted(labels_a) == sorted(labels_b),
        agreement=float(same.mean()),
        changed=int((~same).sum()),
        shift=Shift(median=float(np.median(shifts)), p95=float(np.quantile(shifts, 0.95)), max=float(shifts.max())),
        confusion=_confusion(a, b) if single else None,
        labels=_label_counts(aligned) if problem_type is ProblemType.MULTI_LABEL else None,
        quality_a=_quality(a, truth, problem_type),
        quality_b=_quality(b, truth, problem_type),
        calibration_a=_calibration(a, truth, problem_type),
        calibration_b=_calibration(b, truth, problem_type),
        largest=[
            _change(aligned, place, sentences[place], truth[place] if truth else None)
            for place in _largest(same, shifts, show)
        ],
    )


def _align(a: Answers, b: Answers) -> _Aligned:
    labels = list(dict.fromkeys(chain(a.manifest.labels, b.manifest.labels)))
    if a.manifest.problem_type is ProblemType.REGRESSION:
        # A value that one version lacks has no default, as a score has 0.
        labels = [label for label in a.manifest.labels if label in b.manifest.labels]
    if not labels:
        raise ExportError(
            f"the values of the two regressions have no name in common: {', '.join(a.manifest.labels)} in A, "
            f"{', '.join(b.manifest.labels)} in B"
        )
    columns, best = [_columns(answers, labels) for answers in (a, b)], [_best(answers, labels) for answers in (a, b)]
    return _Aligned(a.manifest.problem_type, labels, columns[0], columns[1], best[0], best[1])


def _columns(answers: Answers, labels: Sequence[str]) -> Float32Array:
    own = answers.manifest.labels
    wide = np.zeros((len(answers.scores), len(labels)), dtype=np.float32)
    for place, label in enumerate(labels):
        if label in own:
            wide[:, place] = answers.scores[:, own.index(label)]
    return wide


def _best(answers: Answers, labels: Sequence[str]) -> IntArray:
    places = [labels.index(label) if label in labels else -1 for label in answers.manifest.labels]
    return np.array([places[best] for best in answers.scores.argmax(axis=1)], dtype=np.int64)


def _same(aligned: _Aligned) -> BoolArray:
    return same_answers(aligned.b, aligned.a, (aligned.best_b, aligned.best_a), aligned.problem_type)


def _shifts(aligned: _Aligned) -> Float32Array:
    difference = np.abs(aligned.a - aligned.b)
    if aligned.problem_type is ProblemType.SINGLE_LABEL:
        return np.asarray(difference[np.arange(len(difference)), aligned.best_a], dtype=np.float32)
    return np.asarray(difference.max(axis=1), dtype=np.float32)


def _confusion(a: Answers, b: Answers) -> Confusion:
    rows = np.zeros((len(a.manifest.labels), len(b.manifest.labels)), dtype=int)
    np.add.at(rows, (a.scores.argmax(axis=1), b.scores.argmax(axis=1)), 1)
    return Confusion(labels_a=a.manifest.labels, labels_b=b.manifest.labels, rows=rows.tolist())


def _label_counts(aligned: _Aligned) -> list[LabelCounts]:
    in_a, in_b = aligned.a > THRESHOLD, aligned.b > THRESHOLD
    both, only_a, only_b = (kept.sum(axis=0) for kept in (in_a & in_b, in_a & ~in_b, ~in_a & in_b))
    return [
        LabelCounts(label=label, both=int(both[i]), only_a=int(only_a[i]), only_b=int(only_b[i]))
        for i, label in enumerate(aligned.labels)
    ]


def _calibration(answers: Answers, truth: Sequence[Target] | None, task: ProblemType) -> CalibrationErrors | None:
    if truth is None or task is ProblemType.REGRESSION or any(isinstance(target, float) for target in truth):
        return None
    from training.figures.calibration import calibration_error

    once, labels = np.ones((1, len(truth))), answers.manifest.labels
    plain, calibrated = (
        None if scores is None else float(calibration_error(scores, truth, labels, task)(once)[0])
        for scores in (answers.scores, answers.calibrated)
    )
    return None if plain is None else CalibrationErrors(plain=plain, calibrated=calibrated)


def _quality(answers: Answers, truth: Sequence[Target] | None, task: ProblemType) -> dict[str, float] | None:
    if truth is None or any(isinstance(target, float) for target in truth) != (task is ProblemType.REGRESSION):
        return None
    # scikit-learn takes a second to import, and only labelled data needs it.
    from training.figures.scores import scores

    labels = answers.manifest.labels
    predicted: list[Target]
    if task is ProblemType.SINGLE_LABEL:
        predicted = [labels[place] for place in answers.scores.argmax(axis=1)]
    elif task is ProblemType.MULTI_LABEL:
        predicted = [tuple(np.array(labels)[row].tolist()) for row in answers.scores > THRESHOLD]
    else:
        predicted = answers.scores[:, 0].tolist()
    return {name: value for name, value in scores(truth, predicted, task).items() if np.isfinite(value)}


def _largest(same: BoolArray, shifts: Float32Array, show: int) -> list[int]:
    """Sentences with another answer first, then by shift; those that did not move at all are left out."""
    order = sorted(range(len(same)), key=lambda place: (same[place], -shifts[place]))
    return [place for place in order if not same[place] or shifts[place] > 0][:show]


def _change(aligned: _Aligned, place: int, sentence: str, truth: Target | None) -> Change:
    return Change(
        sentence=sentence,
        a=_answer(aligned, aligned.a[place], aligned.best_a[place]),
        b=_answer(aligned, aligned.b[place], aligned.best_b[place]),
        same=bool(_same(aligned)[place]),
        shift=float(_shifts(aligned)[place]),
        truth=truth,
    )


def _answer(aligned: _Aligned, row: Float32Array, best: int) -> dict[str, float]:
    if aligned.problem_type is ProblemType.SINGLE_LABEL:
        return {aligned.labels[best]: float(row[best])}
    named = {label: float(score) for label, score in zip(aligned.labels, row, strict=True)}
    if aligned.problem_type is ProblemType.MULTI_LABEL:
        return {label: score for label, score in named.items() if score > THRESHOLD}
    return named
