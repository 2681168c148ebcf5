"""How often do label sets hold the right label, and how many labels have they? On texts that had no say in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.meaning.calibration import Bounded
from repository.meaning.coverage import CoverageTest
from repository.meaning.held_out import HeldOut, UnreachableError, label_set, nonconformity_of
from training.figures.intervals import Interval, Values, Weights, intervals

LEVELS = (0.8, 0.9, 0.95)
"""Coverages that are reported."""
_DIGITS = 4


def observed_coverage(
    held_out: HeldOut,
    logits: npt.NDArray[np.floating[Any]],
    answers: npt.NDArray[np.integer[Any]],
    groups: Sequence[str],
    levels: Sequence[float] = LEVELS,
) -> list[CoverageTest]:
    """Return what the sets do at each level that the held-out texts can keep.

    Args:
        held_out: what the sets are computed from; none of the texts below may be in it.
        logits: `[texts, labels]`.
        answers: places of the right labels, `[texts]`.
        groups: of each text. What is promised is promised of a text of a new group: each group counts the same.
        levels: coverages.
    """
    _, group, sizes = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    share, nonconformity = 1 / sizes[group], nonconformity_of(logits)
    found = []
    for level in levels:
        try:
            limits = held_out.limits(level)
        except UnreachableError:
            continue
        sets = [label_set(row, limits) for row in nonconformity]
        held = np.array([answer in kept for answer, kept in zip(answers, sets, strict=True)], dtype=float)
        sizes_of_sets = np.array([len(kept) for kept in sets])

        def figure(weights: Weights, held: Values = held) -> Values:
            return np.asarray((weights @ (share * held)) / (weights @ share))

        (interval,) = intervals([figure], list(groups))
        test = CoverageTest(
            coverage=level,
            observed=bounded(interval),
            mean_labels=round(float(sizes_of_sets.mean()), _DIGITS),
            single=round(float((sizes_of_sets == 1).mean()), _DIGITS),
            by_class=[held_out.labels[place] for place in limits.by_class],
        )
        found.append(test)
    return found


def bounded(interval: Interval) -> Bounded:
    """An interval as a manifest has it: no bounds where there are none, as of one group."""
    bounds = {"low": interval.low, "high": interval.high}
    known = {name: round(bound, _DIGITS) for name, bound in bounds.items() if np.isfinite(bound)}
    return Bounded(value=round(interval.value, _DIGITS), **known)
