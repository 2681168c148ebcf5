"""The bar rises when the student breaks its promise, and seldom by chance."""

import random

import pytest
from scipy.stats import beta

from gateway.watch import Watch
from tests.student_versions import cascade

DELTA = 0.005


def sentences_until_raised(share: float, seed: int, most: int) -> int | None:
    """How many audited sentences it takes; None if the bar did not rise within `most`."""
    chance, watch = random.Random(seed), Watch(cascade())
    return next((count for count in range(1, most + 1) if watch.note(chance.random() < share)), None)


def test_a_student_that_just_keeps_its_promise_is_seldom_accused() -> None:
    accused = sum(sentences_until_raised(DELTA, seed, 4000) is not None for seed in range(200))
    # 5 % at most over a whole count; so many more by chance have a probability below 1 in 1,000.
    assert accused <= 21


def test_a_student_that_is_twice_as_good_as_it_has_to_be_is_left_alone() -> None:
    assert not any(sentences_until_raised(DELTA / 2, seed, 4000) for seed in range(100))


def test_a_student_that_breaks_its_promise_by_far_is_found_out_soon() -> None:
    found = [sentences_until_raised(5 * DELTA, seed, 4000) for seed in range(50)]
    assert None not in found
    assert sorted(count or 0 for count in found)[45] < 1000


def test_a_long_good_time_does_not_hide_a_bad_one() -> None:
    chance, watch = random.Random(0), Watch(cascade())
    for _ in range(50_000):
        assert not watch.note(chance.random() < DELTA / 5)
    assert any(watch.note(chance.random() < 5 * DELTA) for _ in range(6000))


def test_the_bar_rises_step_by_step_until_the_student_is_off() -> None:
    watch = Watch(cascade(bars=(0.8, 0.9, 0.99)))
    bars = [watch.bar]
    while watch.bar is not None:
        if watch.note(True):
            assert (watch.audited, watch.disagreed) == (0, 0)
            bars.append(watch.bar)
    assert bars == [0.8, 0.9, 0.99, None]
    assert watch.raised == 3
    assert not watch.note(True)


def test_what_was_observed_comes_with_its_bounds() -> None:
    watch = Watch(cascade())
    assert watch.observed() == (0.0, 0.0, 1.0)
    for place in range(1000):
        watch.note(place == 500)
    share, lower, upper = watch.observed()
    assert share == 0.001
    assert lower == pytest.approx(beta.ppf(0.05, 1, 1000))
    assert upper == pytest.approx(beta.ppf(0.95, 2, 999))
