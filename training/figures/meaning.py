"""What do scores mean? Calibration, thresholds and label sets, fitted on held-out texts and reported on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.inference import scores as scores_of
from repository.manifest import ProblemType
from repository.meaning.arithmetic import Float64Array
from repository.meaning.calibration import Bounded, Calibration, CalibrationTest
from repository.meaning.coverage import MOST_TEXTS, Coverage
from repository.meaning.held_out import HeldOut, nonconformity_of
from repository.meaning.thresholds import LabelThreshold, Thresholds, ThresholdTest
from training.data.examples import Target
from training.figures.calibration import calibration_error
from training.figures.coverage import bounded, observed_coverage
from training.figures.fitted_scores import fit_sigmoid, fit_temperature, mean_log_loss
from training.figures.intervals import intervals
from training.figures.scores import LEAST_SCORE, indicators
from training.figures.thresholds import choose_cut

LEAST_TEXTS = 30
"""Nothing is fitted on fewer."""
LEAST_GROUPS = 4
"""Sets of labels from fewer could keep no coverage of 0.8."""
_DIGITS = 4


class TooFewError(ValueError):
    """The texts do not carry a fit; the message is the end of a sentence."""


@dataclass(frozen=True)
class Labelled:
    """What a model answered to texts with labels."""

    logits: npt.NDArray[np.float32]
    """`[texts, labels]`"""
    truth: Sequence[Target]
    """In the model's names of its labels."""
    groups: Sequence[str]
    origin: str
    """Which texts, in words."""

    @property
    def size(self) -> dict[str, Any]:
        """How much there is of it, as a manifest says it."""
        return {"sentences": len(self.truth), "groups": len(set(self.groups)), "origin": self.origin}


@dataclass(frozen=True)
class Meaning:
    """What a version is to say of its scores; None where a model of this kind has no such thing."""

    calibration: Calibration
    thresholds: Thresholds | None = None
    coverage: Coverage | None = None
    held_out: HeldOut | None = None
    """What the sets of labels are computed from."""


def fit_meaning(
    fitted_on: Labelled,
    test: Labelled | None,
    labels: Sequence[str],
    task: ProblemType,
    least_precision: float | None = None,
) -> Meaning:
    """Fit all that a model of this kind can have.

    Args:
        fitted_on: texts that the model was not trained on.
        test: others, to report on; None: nothing is reported.
        labels: of the model, in the order of the logits.
        task: one label a text, or several.
        least_precision: what thresholds keep, of models that answer several labels; None: they make F1 largest.

    Raises:
        TooFewError: there are too few texts.
        ValueError: it is a regression, whose numbers are no scores.
    """
    if task is ProblemType.REGRESSION:
        raise ValueError("a regression has no scores")
    if len(fitted_on.truth) < LEAST_TEXTS:
        raise TooFewError(f"{len(fitted_on.truth)} held-out texts with labels are too few, {LEAST_TEXTS} are needed")
    calibration = fit_calibration(fitted_on, test, labels, task)
    if task is ProblemType.MULTI_LABEL:
        return Meaning(calibration, _thresholds(fitted_on, test, labels, least_precision))
    if len(set(fitted_on.groups)) < LEAST_GROUPS:
        return Meaning(calibration)
    return Meaning(calibration, None, *_coverage(fitted_on, test, labels))


def fit_calibration(
    fitted_on: Labelled, test: Labelled | None, labels: Sequence[str], task: ProblemType
) -> Calibration:
    """The temperature, or the sigmoid of each label, and how far scores are off with it and without."""
    found: dict[str, Any]
    if task is ProblemType.SINGLE_LABEL:
        found = {"temperature": fit_temperature(fitted_on.logits, _places(fitted_on.truth, labels))}
    else:
        true = indicators(fitted_on.truth, labels)
        fitted = [fit_sigmoid(fitted_on.logits[:, place], true[:, place]) for place in range(len(labels))]
        found = {"slopes": [slope for slope, _ in fitted], "offsets": [offset for _, offset in fitted]}
    calibration = Calibration(**found, **fitted_on.size)
    if test is None or not len(test.truth):
        return calibration
    plain, calibrated = scores_of(test.logits, task).astype(np.float64), calibration.scores(test.logits)
    result = CalibrationTest(
        **test.size,
        error=_error(plain, test, labels, task),
        calibrated_error=_error(calibrated, test, labels, task),
        log_loss=_log_loss(test, labels, task, None),
        calibrated_log_loss=_log_loss(test, labels, task, calibration),
    )
    return calibration.model_copy(update={"test": result})


def _error(scores: Float64Array, test: Labelled, labels: Sequence[str], task: ProblemType) -> Bounded:
    figure = calibration_error(scores, test.truth, labels, task)
    return bounded(intervals([figure], list(test.groups))[0])


def _log_loss(test: Labelled, labels: Sequence[str], task: ProblemType, calibration: Calibration | None) -> float:
    wide = test.logits.astype(np.float64)
    if task is ProblemType.SINGLE_LABEL:
        temperature = 1.0 if calibration is None or calibration.temperature is None else calibration.temperature
        return round(mean_log_loss(wide / temperature, _places(test.truth, labels)), _DIGITS)
    if calibration is not None:
        wide = wide * np.array(calibration.slopes) + np.array(calibration.offsets)
    true = indicators(test.truth, labels)
    return round(float(np.mean(np.logaddexp(0, wide) - true * wide)), _DIGITS)


def _thresholds(
    fitted_on: Labelled, test: Labelled | None, labels: Sequence[str], least_precision: float | None
) -> Thresholds:
    scores, true = scores_of(fitted_on.logits, ProblemType.MULTI_LABEL), indicators(fitted_on.truth, labels)
    found = []
    for place in range(len(labels)):
        cut = choose_cut(scores[:, place], true[:, place], least_precision)
        shares = {"precision": cut.precision, "recall": cut.recall}
        rounded = {name: None if share is None else round(share, _DIGITS) for name, share in shares.items()}
        positives = int(true[:, place].sum())
        found.append(LabelThreshold(threshold=cut.threshold, positives=positives, tuned=cut.tuned, **rounded))
    thresholds = Thresholds(
        labels=found,
        chosen_by="f1" if least_precision is None else "precision",
        least_precision=least_precision,
        origin=fitted_on.origin,
    )
    if test is None or not len(test.truth):
        return thresholds
    return thresholds.model_copy(update={"test": _threshold_test(thresholds, test, labels)})


def _threshold_test(thresholds: Thresholds, test: Labelled, labels: Sequence[str]) -> ThresholdTest:
    from sklearn.metrics import f1_score, precision_score

    scores, true = scores_of(test.logits, ProblemType.MULTI_LABEL), indicators(test.truth, labels)
    occurring = np.flatnonzero(true.any(axis=0))
    found: dict[str, Any] = {}
    for suffix, least in (("", np.array(thresholds.values)), ("_at_half", np.full(len(labels), LEAST_SCORE))):
        answered = (scores >= least).astype(int)
        if occurring.size:
            f1 = f1_score(true[:, occurring], answered[:, occurring], average="macro", zero_division=0)
            found[f"macro_f1{suffix}"] = round(float(f1), _DIGITS)
        if answered.any():
            precision = precision_score(true, answered, average="micro", zero_division=0)
            found[f"precision{suffix}"] = round(float(precision), _DIGITS)
    return ThresholdTest(sentences=len(test.truth), origin=test.origin, **found)


def _coverage(fitted_on: Labelled, test: Labelled | None, labels: Sequence[str]) -> tuple[Coverage, HeldOut]:
    places = _places(fitted_on.truth, labels)
    names = {name: number for number, name in enumerate(dict.fromkeys(fitted_on.groups))}
    group = np.array([names[name] for name in fitted_on.groups])
    own = nonconformity_of(fitted_on.logits)[np.arange(len(places)), places]
    # Whole groups stay or go.
    kept = np.isin(group, np.flatnonzero(np.cumsum(np.bincount(group)) <= MOST_TEXTS))
    held_out = HeldOut(labels, own[kept], places[kept], group[kept])
    size = {"sentences": held_out.sentences, "groups": held_out.groups, "origin": fitted_on.origin}
    coverage = Coverage(**size, most=round(held_out.most, _DIGITS))
    if test is None or not len(test.truth):
        return coverage, held_out
    found = observed_coverage(held_out, test.logits, _places(test.truth, labels), test.groups)
    update = {"test": found, "test_sentences": len(test.truth), "test_origin": test.origin}
    return coverage.model_copy(update=update), held_out


def _places(truth: Sequence[Target], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[str(target)] for target in truth], dtype=np.int64)
