"""The index is the textbook's; its limit is passed seldom by chance, and soon by what has moved."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from repository.stability import MUCH, limit, stability_index


def test_the_index_is_the_sum_of_the_textbook() -> None:
    before, now = [500_000, 300_000, 200_000], [400_000, 350_000, 250_000]
    shares = [(0.5, 0.4), (0.3, 0.35), (0.2, 0.25)]
    assert stability_index(before, now) == pytest.approx(sum((p - q) * math.log(p / q) for q, p in shares), abs=1e-5)
    assert stability_index(before, before) == 0


def test_an_empty_bin_is_no_infinity_and_says_nothing_if_it_always_was() -> None:
    assert math.isfinite(stability_index([100, 0], [50, 50]))
    assert stability_index([60, 40, 0], [40, 60, 0]) == stability_index([60, 40], [40, 60])


@pytest.mark.parametrize("bins", [2, 3, 7, 17, 100])
def test_the_limit_is_that_of_chi_square(bins: int) -> None:
    counts = [10.0] * bins
    exact = chi2.ppf(0.999, bins - 1) * 2 / (10 * bins)
    assert limit(counts, counts) == pytest.approx(max(MUCH, exact), rel=0.04)


def test_without_a_sentence_nothing_has_moved() -> None:
    assert limit([0, 0], [5, 5]) == limit([5, 5], [0, 0]) == math.inf


@pytest.mark.parametrize(
    ("bins", "texts", "sentences"), [(7, 800, 100), (17, 1000, 150), (14, 5000, 400), (60, 500, 200)]
)
def test_chance_alone_passes_it_seldom(bins: int, texts: int, sentences: int) -> None:
    dealer = np.random.default_rng(0)
    shares = dealer.dirichlet([2.0] * bins)
    passed = 0
    for _ in range(1000):
        before, now = dealer.multinomial(texts, shares), dealer.multinomial(sentences, shares)
        passed += stability_index(before.tolist(), now.tolist()) > limit(before.tolist(), now.tolist())
    assert passed <= 8  # one is expected where chance sets the limit, none where 0.25 does


def test_what_has_moved_passes_it() -> None:
    dealer = np.random.default_rng(0)
    shares = np.full(7, 1 / 7)
    moved = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    for _ in range(100):
        before, now = dealer.multinomial(800, shares).tolist(), dealer.multinomial(400, moved).tolist()
        assert stability_index(before, now) > limit(before, now)
