"""Does a score of 0.8 mean four right in five? A reliability diagram as numbers, and the calibration error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.manifest import ProblemType
from training.data.examples import Target
from training.figures.intervals import Figure, Values, Weights, intervals
from training.figures.scores import indicators, is_right

BINS = 10


def calibration(
    truth: Sequence[Target],
    scores: npt.NDArray[np.floating[Any]],
    labels: Sequence[str],
    groups: Sequence[str],
    task: ProblemType,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return how far scores are from the share of answers that are right; None for a regression, which has no scores.

    The expected calibration error is the mean over bins of |share right - mean score|, weighted by their texts
    (M. Naeini, G. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015; with
    equal bins as in C. Guo et al., "On Calibration of Modern Neural Networks", 2017). Of few texts it is never 0, even
    for a perfect model: chance alone moves each bin.

    Args:
        truth: the target of each text.
        scores: `[texts, labels]`, in 0 to 1.
        labels: in the order of the scores.
        groups: of each text, for the interval.
        task: of one label, the best one's score counts; of several, each label's of each text.
        seed: of the draws.
    """
    if task is ProblemType.REGRESSION:
        return None
    said, right = _said_and_right(scores, truth, labels, task)
    places = _bins_of(said)
    (error,) = intervals([_error_figure(said, right, places)], groups, seed=seed)
    return {
        "of": "best label" if task is ProblemType.SINGLE_LABEL else "each label of each text",
        "expected_calibration_error": error.as_json(),
        "mean_score": float(said.mean()),
        "share_right": float(right.mean()),
        "bins": [_bin(place, said, right, places) for place in range(BINS)],
    }


def calibration_error(
    scores: npt.NDArray[np.floating[Any]], truth: Sequence[Target], labels: Sequence[str], task: ProblemType
) -> Figure:
    """The expected calibration error of scores `[texts, labels]`, as a figure of the texts; see `calibration`."""
    said, right = _said_and_right(scores, truth, labels, task)
    return _error_figure(said, right, _bins_of(said))


def _said_and_right(
    scores: npt.NDArray[np.floating[Any]], truth: Sequence[Target], labels: Sequence[str], task: ProblemType
) -> tuple[Any, Any]:
    """What was said and whether it was right, `[texts, 1]` of the best label, or `[texts, labels]` of each."""
    if task is ProblemType.MULTI_LABEL:
        return scores.astype(float), indicators(truth, labels).astype(float)
    best = [labels[place] for place in scores.argmax(axis=1).tolist()]
    right = np.array([[is_right(*pair)] for pair in zip(truth, best, strict=True)], dtype=float)
    return scores.max(axis=1)[:, None].astype(float), right


def _bins_of(said: Any) -> Any:
    return np.clip((said * BINS).astype(int), 0, BINS - 1)


def _bin(place: int, said: Any, right: Any, places: Any) -> dict[str, Any]:
    there = places == place
    count = int(there.sum())
    return {
        "from": place / BINS,
        "to": (place + 1) / BINS,
        "count": count,
        "mean_score": float(said[there].mean()) if count else None,
        "share_right": float(right[there].mean()) if count else None,
    }


def _error_figure(said: Any, right: Any, places: Any) -> Figure:
    """Within a bin the counts cancel out: the error is the sum over bins of |sum of right - score|, by the texts."""
    gaps = np.zeros((len(said), BINS))
    for place in range(BINS):
        gaps[:, place] = np.where(places == place, right - said, 0).sum(axis=1)

    def figure(weights: Weights) -> Values:
        return np.asarray(np.abs(weights @ gaps).sum(axis=1) / (weights.sum(axis=1) * said.shape[1]))

    return figure
