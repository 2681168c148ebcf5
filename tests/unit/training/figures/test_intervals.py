"""Intervals hold what they say: over groups, paired where two models are compared, the figures those of scores.py."""

from math import comb

import numpy as np
import pytest

from repository.manifest import ProblemType
from training.data.examples import Target
from training.figures.intervals import (
    draws_of,
    figures_of,
    intervals,
    mcnemar,
    mean_figure,
    paired_intervals,
    score_intervals,
)
from training.figures.scores import scores

LABELS = ["a", "b", "c", "d"]
GENERATOR = np.random.default_rng(0)


def some_targets(task: ProblemType, count: int, generator: np.random.Generator) -> list[Target]:
    if task is ProblemType.REGRESSION:
        return [float(number) for number in generator.integers(0, 9, count)]  # with ties
    if task is ProblemType.MULTI_LABEL:
        chosen = generator.random((count, len(LABELS))) < 0.3
        return [tuple(label for label, true in zip(LABELS, row, strict=True) if true) for row in chosen]
    return [LABELS[number] for number in generator.integers(0, len(LABELS), count)]


@pytest.mark.parametrize("task", list(ProblemType))
def test_a_drawn_figure_is_what_the_texts_of_the_draw_score(task: ProblemType) -> None:
    generator = np.random.default_rng(1)
    truth, predicted = some_targets(task, 60, generator), some_targets(task, 60, generator)
    groups = [str(place // 5) for place in range(60)]
    weights = np.concatenate([np.ones((1, 60)), *draws_of(groups, 20, seed=3)])
    for name, figure in figures_of(truth, predicted, task).items():
        values = figure(weights)
        for row, value in zip(weights.astype(int), values, strict=True):
            drawn = [place for place, times in enumerate(row) for _ in range(times)]
            expected = scores([truth[place] for place in drawn], [predicted[place] for place in drawn], task)[name]
            assert value == pytest.approx(expected, abs=1e-9, nan_ok=True), name


def test_groups_are_drawn_whole() -> None:
    (weights,) = draws_of(["x", "y", "y", "y", "z"], 50, seed=0)
    assert (weights[:, 1] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 3]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 4] == 3).all()


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says_and_that_of_single_texts_does_not() -> None:
    # 40 groups of 10 texts that are right or wrong together, three in four of them right.
    held = {"groups": 0, "texts": 0}
    for seed in range(200):
        right = np.repeat(np.random.default_rng(seed).random(40) < 0.75, 10)
        for kind in held:
            groups = [str(place // 10 if kind == "groups" else place) for place in range(400)]
            (interval,) = intervals([mean_figure(right)], groups, 300, seed)
            held[kind] += interval.low <= 0.75 <= interval.high
    assert held["groups"] >= 180  # 0.95 of them, less what chance and the percentile's bias take
    assert held["texts"] < 120


def test_the_difference_of_two_models_is_paired() -> None:
    generator = np.random.default_rng(2)
    groups = [str(place // 4) for place in range(400)]
    truth = some_targets(ProblemType.SINGLE_LABEL, 400, generator)
    # Hard groups are hard for both; the second model gets ten texts less right.
    hard = np.repeat(generator.random(100) < 0.4, 4)
    first: list[Target] = ["-" if is_hard else target for is_hard, target in zip(hard, truth, strict=True)]
    easy = [place for place in range(400) if not hard[place]][::20][:10]
    second: list[Target] = ["-" if place in easy else answer for place, answer in enumerate(first)]
    found = paired_intervals(truth, first, second, groups, ProblemType.SINGLE_LABEL)["accuracy"]
    assert found.value == pytest.approx(10 / 400)
    assert found.low > 0
    alone = score_intervals(truth, first, groups, ProblemType.SINGLE_LABEL)["accuracy"]
    assert found.high - found.low < (alone.high - alone.low) / 3
    same = paired_intervals(truth, first, first, groups, ProblemType.SINGLE_LABEL)["macro_f1"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_bound_alone_is_as_sure_as_it_says() -> None:
    """The lower end of a two-sided 90 % interval is below the truth in 95 of 100 cases."""
    chance = np.random.default_rng(0)
    groups = [str(place) for place in range(200)]
    below = 0
    for seed in range(200):
        truth = ["a"] * 200
        first, second = (["a" if right else "b" for right in chance.random(200) < rate] for rate in (0.7, 0.8))
        interval = paired_intervals(truth, first, second, groups, ProblemType.SINGLE_LABEL, 500, seed, 0.9)["accuracy"]
        below += interval.low <= -0.1
    assert 0.91 <= below / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    truth, answers = (some_targets(ProblemType.SINGLE_LABEL, 50, GENERATOR) for _ in range(2))
    groups = [str(place % 7) for place in range(50)]
    one, same, other = (
        score_intervals(truth, answers, groups, ProblemType.SINGLE_LABEL, seed=seed) for seed in (0, 0, 1)
    )
    assert one == same != other


def test_mcnemar_is_the_binomial_of_the_texts_on_which_one_is_right() -> None:
    right = [True] * 10 + [True] * 9 + [False] * 2 + [False] * 5
    other = [True] * 10 + [False] * 9 + [True] * 2 + [False] * 5
    found = mcnemar(right, other)
    tail = sum(comb(11, count) for count in range(3)) / 2**11
    assert (found.only_first_right, found.only_second_right) == (9, 2)
    assert found.exact_p == pytest.approx(2 * tail)
    assert found.mid_p == pytest.approx(2 * tail - comb(11, 2) / 2**11)
    assert mcnemar(other, right).exact_p == found.exact_p
    same = mcnemar(right, right)
    assert (same.exact_p, same.mid_p) == (1, 1)
