"""How large may a share be, given that it was counted in so many cases? One-sided Clopper-Pearson bounds.

The gateway needs them and has no SciPy; the tests hold them against SciPy's. Source: C. J. Clopper, E. S. Pearson, "The
use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).
"""

import math
from collections.abc import Callable

CONFIDENCE = 0.95

_HALVINGS = 60
"""Of the interval from 0 to 1: more than a float tells apart."""


def upper_bound(count: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of which `count` cases or fewer would still be seen with probability 1 - `confidence`.

    It is 1 without any case. Raises ValueError: there are more of them than cases.
    """
    _check(count, cases)
    if count == cases:
        return 1.0
    return _crossing(lambda share: _at_most(count, cases, share) > 1 - confidence)


def lower_bound(count: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share of which `count` cases or more would still be seen with probability 1 - `confidence`.

    It is 0 without any case. Raises ValueError: there are more of them than cases.
    """
    _check(count, cases)
    if count == 0:
        return 0.0
    return _crossing(lambda share: _at_most(count - 1, cases, share) > confidence)


def fewest_cases(share: float, confidence: float = CONFIDENCE) -> int:
    """How many cases without a single count it takes for the upper bound to be at most `share`."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def _check(count: int, cases: int) -> None:
    if not 0 <= count <= cases:
        raise ValueError(f"{count} of {cases} cases is no count")


def _crossing(is_below: Callable[[float], bool]) -> float:
    """Where `is_below`, which holds from 0 on, ends to hold."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if is_below(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(count: int, cases: int, share: float) -> float:
    """P(X <= count) of a binomial X: the terms from the largest one down, since small ones underflow."""
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    odds = math.log(share) - math.log1p(-share)
    term = cases * math.log1p(-share)
    logs = [term]
    for place in range(1, count + 1):
        term += math.log((cases - place + 1) / place) + odds
        logs.append(term)
    largest = max(logs)
    return min(1.0, math.exp(largest) * math.fsum(math.exp(each - largest) for each in logs))
