"""The bounds on a share are those of Clopper and Pearson, as SciPy computes them."""

import pytest
from scipy.stats import beta

from repository.binomial import fewest_cases, lower_bound, upper_bound

COUNTS = [(0, 1), (0, 598), (1, 1), (1, 674), (3, 674), (20, 4000), (500, 1000), (999, 1000), (40, 200_000)]


@pytest.mark.parametrize(("count", "cases"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_bounds_are_scipys(count: int, cases: int, confidence: float) -> None:
    upper = 1.0 if count == cases else beta.ppf(confidence, count + 1, cases - count)
    lower = 0.0 if count == 0 else beta.ppf(1 - confidence, count, cases - count + 1)
    assert upper_bound(count, cases, confidence) == pytest.approx(upper, rel=1e-9)
    assert lower_bound(count, cases, confidence) == pytest.approx(lower, rel=1e-9)


def test_without_a_case_nothing_is_known() -> None:
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


def test_more_counts_than_cases_are_no_count() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        upper_bound(5, 4)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.02])
def test_the_fewest_cases_are_enough_and_one_less_is_not(share: float) -> None:
    cases = fewest_cases(share)
    assert upper_bound(0, cases) <= share < upper_bound(0, cases - 1)


def test_half_a_percent_takes_598_sentences() -> None:
    assert fewest_cases(0.005) == 598
