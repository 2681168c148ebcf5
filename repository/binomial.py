"""How large may a share be, given that it was counted in so many cases? One-sided Clopper-Pearson bounds.

The gateway needs them and has no SciPy; the tests hold them against SciPy's. Source: C. J. Clopper, E. S. Pearson, "The
use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).
"""

import math
from collections.abc import Callable
from functools import lru_cache

CONFIDENCE = 0.95

_NEGLIGIBLE = 1e-18
"""A term that is so much smaller than the sum changes no bit of it, nor do all that follow."""

_FEW = 1000

_HALVINGS, _SECANTS = 14, 40
_EXACT = 1e-13
"""Of a probability: nearer to the bound than the terms are computed."""


def upper_bound(count: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of which `count` cases or fewer would still be seen with probability 1 - `confidence`.

    It is 1 without any case. Raises ValueError: there are more of them than cases.
    """
    _check(count, cases)
    if count == cases:
        return 1.0
    return _crossing(lambda share: _at_most(count, cases, share) - (1 - confidence))


def lower_bound(count: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share of which `count` cases or more would still be seen with probability 1 - `confidence`.

    It is 0 without any case. Raises ValueError: there are more of them than cases.
    """
    _check(count, cases)
    if count == 0:
        return 0.0
    return _crossing(lambda share: _at_most(count - 1, cases, share) - confidence)


def fewest_cases(share: float, confidence: float = CONFIDENCE) -> int:
    """How many cases without a single count it takes for the upper bound to be at most `share`."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def _check(count: int, cases: int) -> None:
    if not 0 <= count <= cases:
        raise ValueError(f"{count} of {cases} cases is no count")


def _crossing(excess: Callable[[float], float]) -> float:
    """Where `excess`, which falls from above 0 to below it between 0 and 1, is 0.

    Halvings find the slope, and secants in the Illinois way the place on it (M. Dowell, P. Jarratt, BIT 11, 1971): some
    twenty evaluations, where halving alone takes sixty.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    above, under = excess(low), excess(high)
    moved = 0
    for _ in range(_SECANTS):
        middle = (above * high - under * low) / (above - under)
        value = excess(middle)
        if value > 0:
            low, above, under = middle, value, under / 2 if moved > 0 else under
        else:
            high, under, above = middle, value, above / 2 if moved < 0 else above
        moved = 1 if value > 0 else -1
        if abs(value) <= _EXACT or high - low <= _EXACT * high:
            break
    return middle


def _at_most(count: int, cases: int, share: float) -> float:
    """P(X <= count) of a binomial X: its terms from that of `count` down, until they add nothing.

    They are some standard deviations of X in number, not `count`: a hundred thousand cases take no longer than a few.
    """
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    rest = 1.0 - share
    largest = min(count, math.floor((cases + 1) * share))  # terms shrink from here down, and from here up
    scale = math.exp(_log_ways(cases, largest) + largest * math.log(share) + (cases - largest) * math.log1p(-share))
    total = term = 1.0
    for place in range(largest, 0, -1):
        term *= place * rest / ((cases - place + 1) * share)
        total += term
        if term < _NEGLIGIBLE * total:
            break
    term = 1.0
    for place in range(largest + 1, count + 1):
        term *= (cases - place + 1) * share / (place * rest)
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return min(1.0, scale * total)


@lru_cache(maxsize=256)
def _log_ways(cases: int, count: int) -> float:
    """Logarithm of the binomial coefficient. Of few, the difference of large `lgamma`s would lose seven digits."""
    if (few := min(count, cases - count)) <= _FEW:
        return math.fsum(math.log((cases - place + 1) / place) for place in range(1, few + 1))
    return math.lgamma(cases + 1) - math.lgamma(count + 1) - math.lgamma(cases - count + 1)
