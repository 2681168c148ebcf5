"""How far have counts moved from those they are held against? The population stability index, and when it is chance.

The index is the sum over the bins of (p - q) ln(p / q), for a bin's share p now and its share q then: the symmetrized
Kullback-Leibler divergence of Jeffreys (1946), as credit scoring uses it (N. Siddiqi, "Credit Risk Scorecards", 2006),
whose rule of thumb is: below 0.1 nothing moved, above 0.25 much did. Of few sentences it is large by chance alone: with
nothing moved, it is distributed as (1/n + 1/m) times chi-square with one degree of freedom less than there are bins,
for n and m counted sentences (B. Yurdakul, J. Naranjo, "Statistical properties of the population stability index",
Journal of Risk Model Validation 14, 2020). So what counts as moved is the larger of both.
"""

import math
from collections.abc import Sequence

MUCH = 0.25
"""The rule of thumb's."""

_QUANTILE = 3.0902
"""Of the normal distribution, for 0.999: one false alarm in a thousand independent looks."""
_PRIOR = 0.5
"""Added to each count, so that an empty bin has a logarithm: Jeffreys' prior of a share."""


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of counts by bin; bins that are empty on both sides say nothing.

    Raises:
        ValueError: the bins are not the same number.
    """
    pairs = [pair for pair in zip(before, now, strict=True) if any(pair)]
    then, shares = _shares([other for other, _ in pairs]), _shares([count for _, count in pairs])
    return sum((share - other) * math.log(share / other) for other, share in zip(then, shares, strict=True))


def limit(before: Sequence[float], now: Sequence[float]) -> float:
    """The index above which something moved: 0.25, or more where chance alone would reach that.

    The bins that are empty on both sides are no degree of freedom. Chi-square's quantile is Wilson and Hilferty's
    (1931), within 4 % of the exact one.
    """
    cases, others = sum(now), sum(before)
    if not cases or not others:
        return math.inf
    degrees = max(1, sum(1 for pair in zip(before, now, strict=True) if any(pair)) - 1)
    part = 2 / (9 * degrees)
    quantile = degrees * (1 - part + _QUANTILE * math.sqrt(part)) ** 3
    return max(MUCH, quantile * (1 / cases + 1 / others))


def _shares(counts: Sequence[float]) -> list[float]:
    whole = sum(counts) + _PRIOR * len(counts)
    return [(count + _PRIOR) / whole for count in counts]
