"""From which score on is a label to be answered: where F1 is largest, or where enough of its answers are right?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.figures.fitted_scores import LEAST_OF_EACH
from training.figures.scores import LEAST_SCORE

_DIGITS = 6


@dataclass(frozen=True)
class Cut:
    """A threshold, and what it does with the texts that it was chosen on; None where a share does not exist."""

    threshold: float
    precision: float | None
    recall: float | None
    tuned: bool


def choose_cut(
    scores: npt.NDArray[np.floating[Any]], true: npt.NDArray[np.integer[Any]], least_precision: float | None = None
) -> Cut:
    """Choose a label's threshold.

    Args:
        scores: of one label, `[texts]`, in 0 to 1.
        true: 1 where the label is true of the text, else 0.
        least_precision: share of its answers that are to be right; None: F1 is to be largest.

    Returns:
        The threshold half way between two scores. With `least_precision` the lowest that keeps it, or, where none does,
        the one of the best precision; of equal F1 the one nearest to 0.5. 0.5 of a label that fewer than
        `LEAST_OF_EACH` texts have, or do not have: it would be made of chance.
    """
    positives = int(true.sum())
    if min(positives, len(true) - positives) < LEAST_OF_EACH:
        return _cut(LEAST_SCORE, scores, true, tuned=False)
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order].astype(np.float64), np.cumsum(true[order])
    # Only between two different scores can a threshold fall.
    last = np.append(np.flatnonzero(ranked[:-1] > ranked[1:]), len(ranked) - 1)
    below = np.append(ranked[last[:-1] + 1], 0.0)
    thresholds = np.clip(np.round((ranked[last] + below) / 2, _DIGITS), 0, 1)
    precision = right[last] / (last + 1)
    f1 = 2 * right[last] / (last + 1 + positives)
    if least_precision is None:
        best = np.flatnonzero(f1 == f1.max())
        place = int(best[np.argmin(np.abs(thresholds[best] - LEAST_SCORE))])
    elif (kept := np.flatnonzero(precision >= least_precision)).size:
        place = int(kept[-1])
    else:
        place = int(np.flatnonzero(precision == precision.max())[-1])
    return _cut(float(thresholds[place]), scores, true, tuned=True)


def _cut(
    threshold: float, scores: npt.NDArray[np.floating[Any]], true: npt.NDArray[np.integer[Any]], tuned: bool
) -> Cut:
    answered = scores >= threshold
    right, positives = int(true[answered].sum()), int(true.sum())
    precision = right / int(answered.sum()) if answered.any() else None
    return Cut(threshold, precision, right / positives if positives else None, tuned)
