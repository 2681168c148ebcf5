"""How sure a figure is: its interval when whole groups are drawn anew, and two models compared on the same texts.

The texts of a group, such as the ideas of a mind map, are right or wrong together, so that a test of 600 texts in 30
groups says about as much as one of some tens of texts that have nothing to do with each other. What is drawn anew is
therefore the group, not the text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.manifest import ProblemType
from training.data.examples import Target, labels_of
from training.figures.scores import indicators, is_right

Weights = npt.NDArray[np.float64]
"""`[draws, texts]`: how often each text is in each draw."""
Values = npt.NDArray[np.float64]
Figure = Callable[[Weights], Values]
"""A figure of a model on some texts, computed for every draw at once: weights `[draws, texts]` to values `[draws]`."""

DRAWS = 1000
LEVEL = 0.95
# 32 MB of weights at a time.
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds that it is between with a confidence (by default LEVEL); NaN where it does not exist."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """Its three numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class McNemar:
    """Two models on the same texts: on how many only one of them is right, and how likely chance alone does that.

    The p-values take every text for a trial of its own. Where texts come in groups they are too small: the interval of
    the difference (`paired_intervals`) is the one to decide by.
    """

    only_first_right: int
    only_second_right: int
    exact_p: float
    mid_p: float

    def as_json(self) -> dict[str, float]:
        """Its fields by name."""
        return asdict(self)


def score_intervals(
    truth: Sequence[Target],
    predicted: Sequence[Target],
    groups: Sequence[str],
    task: ProblemType,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return each figure of `training.figures.scores.scores` with its interval over groups, by the same names.

    Args:
        truth: the target of each text.
        predicted: what was answered for each.
        groups: the group of each; a text that belongs to none has one of its own.
        task: what a target is.
        draws: how often groups are drawn anew.
        seed: of the draws.
    """
    found = figures_of(truth, predicted, task)
    return dict(zip(found, intervals(list(found.values()), groups, draws, seed), strict=True))


def paired_intervals(
    truth: Sequence[Target],
    predicted: Sequence[Target],
    others: Sequence[Target],
    groups: Sequence[str],
    task: ProblemType,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Return by how much the figures of one model's answers are above those of another's to the same texts.

    Both are computed on the same draws of groups, so that what makes a draw hard or easy for both cancels out. An
    interval that holds 0 is a difference within the noise.

    Args:
        truth: the target of each text.
        predicted: what the one model answered for each.
        others: what the other answered.
        groups: the group of each text.
        task: what a target is.
        draws: how often groups are drawn anew.
        seed: of the draws.
        level: confidence; either bound alone has that of `(1 + level) / 2`.

    Returns:
        First minus second, by the names of `training.figures.scores.scores`. Of an error (`mean_absolute_error`), below
        0 is better.
    """
    first, second = figures_of(truth, predicted, task), figures_of(truth, others, task)
    differences = [_difference(first[name], second[name]) for name in first]
    return dict(zip(first, intervals(differences, groups, draws, seed, level), strict=True))


def intervals(
    figures: Sequence[Figure], groups: Sequence[str], draws: int = DRAWS, seed: int = 0, level: float = LEVEL
) -> list[Interval]:
    """Return the percentile interval of each figure, over draws of as many groups as there are, with replacement.

    Source: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979, with the group as the sampling unit
    (A. Davison and D. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). With fewer than some 20
    groups it is rather too narrow.

    Args:
        figures: of the texts that `groups` has.
        groups: the group of each text.
        draws: how many.
        seed: the same one gives the same draws.
        level: confidence.
    """
    once = np.ones((1, len(groups)))
    values = [float(figure(once)[0]) if len(groups) else float("nan") for figure in figures]
    if len(set(groups)) < 2:  # all draws would be the same
        return [Interval(value, float("nan"), float("nan")) for value in values]
    drawn = np.empty((len(figures), draws))
    start = 0
    for weights in draws_of(groups, draws, seed):
        for place, figure in enumerate(figures):
            drawn[place, start : start + len(weights)] = figure(weights)
        start += len(weights)
    return [_interval(value, of_figure, level) for value, of_figure in zip(values, drawn, strict=True)]


def draws_of(groups: Sequence[str], draws: int, seed: int) -> Iterator[Weights]:
    """Yield weights `[some, texts]`, `draws` rows in all: how often each text's group is in a draw."""
    names, place_of_group = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    generator = np.random.default_rng(seed)
    at_once = max(1, _CELLS_AT_ONCE // len(groups))
    evenly = np.full(len(names), 1 / len(names))
    for start in range(0, draws, at_once):
        counts = generator.multinomial(len(names), evenly, size=min(at_once, draws - start))
        yield counts[:, place_of_group].astype(np.float64)


def mcnemar(right: Sequence[bool], other_right: Sequence[bool]) -> McNemar:
    """Test whether two models are right equally often, by the texts on which only one of them is.

    With b and c such texts, b is binomial of b + c trials of one half if they are. Exact p: twice the smaller tail, at
    most 1 (Q. McNemar, 1947). Mid-p: twice the smaller tail with the probability of what was seen counted half, which
    is less conservative (M. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p
    and asymptotic are better than exact conditional", 2013).

    Args:
        right: whether the first model's answer to each text is right.
        other_right: whether the second's is.
    """
    from scipy.stats import binom

    first, second = np.asarray(right, dtype=bool), np.asarray(other_right, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    fewer, trials = min(only_first, only_second), only_first + only_second
    tail, seen = float(binom.cdf(fewer, trials, 0.5)), float(binom.pmf(fewer, trials, 0.5))
    return McNemar(only_first, only_second, min(1.0, 2 * tail), min(1.0, 2 * tail - seen))


def figures_of(truth: Sequence[Target], predicted: Sequence[Target], task: ProblemType) -> Mapping[str, Figure]:
    """Return the figures of `training.figures.scores.scores`, by the same names, as functions of weights."""
    if task is ProblemType.REGRESSION:
        return _of_numbers(np.array(truth, dtype=float), np.array(predicted, dtype=float))
    occurring = sorted({label for target in truth for label in labels_of(target)})
    right = np.array([is_right(one, other) for one, other in zip(truth, predicted, strict=True)], dtype=float)
    macro = macro_f1_figure(indicators(truth, occurring), indicators(predicted, occurring))
    if task is ProblemType.SINGLE_LABEL:
        return {"accuracy": mean_figure(right), "macro_f1": macro}
    everything = sorted({label for targets in (truth, predicted) for target in targets for label in labels_of(target)})
    micro = _micro_f1_figure(indicators(truth, everything), indicators(predicted, everything))
    return {"exact_match": mean_figure(right), "micro_f1": micro, "macro_f1": macro}


def mean_figure(values: npt.ArrayLike) -> Figure:
    """The mean of a value `[texts]`."""
    of_text = np.asarray(values, dtype=float)
    return lambda weights: _ratio(weights @ of_text, weights.sum(axis=1))


def f1_figure(true: npt.ArrayLike, answered: npt.ArrayLike) -> Figure:
    """F1 of one class, of indicators `[texts]`: 2 tp / (2 tp + fp + fn); NaN in a draw without the class."""
    is_true, is_answered = np.asarray(true, dtype=float), np.asarray(answered, dtype=float)
    both = is_true * is_answered

    def figure(weights: Weights) -> Values:
        times_true = weights @ is_true
        found = _ratio(2 * (weights @ both), times_true + weights @ is_answered)
        return np.where(times_true > 0, found, np.nan)

    return figure


def macro_f1_figure(true: npt.ArrayLike, answered: npt.ArrayLike) -> Figure:
    """The mean F1 of classes, of indicators `[texts, classes]`, over those that are true of a text in the draw."""
    is_true, is_answered = np.asarray(true, dtype=float), np.asarray(answered, dtype=float)
    both = is_true * is_answered

    def figure(weights: Weights) -> Values:
        times_true = weights @ is_true
        f1 = np.nan_to_num(_ratio(2 * (weights @ both), times_true + weights @ is_answered))
        there = times_true > 0
        return _ratio((f1 * there).sum(axis=1), there.sum(axis=1))

    return figure


def _micro_f1_figure(true: Any, answered: Any) -> Figure:
    both, sizes = (true * answered).sum(axis=1), true.sum(axis=1) + answered.sum(axis=1)
    any_true = true.sum() > 0
    return lambda weights: _ratio(2 * (weights @ both), weights @ sizes) if any_true else np.full(len(weights), np.nan)


def _of_numbers(truth: Values, predicted: Values) -> dict[str, Figure]:
    errors = predicted - truth
    # Around the mean: sums of squares of numbers far from 0 would lose their digits.
    centred = truth - truth.mean() if len(truth) else truth

    def r2(weights: Weights) -> Values:
        total = weights.sum(axis=1)
        spread = weights @ centred**2 - _ratio((weights @ centred) ** 2, total)
        found = 1 - _ratio(weights @ errors**2, np.where(spread > 1e-12 * total, spread, 0))
        return np.asarray(found)

    return {
        "mean_absolute_error": mean_figure(np.abs(errors)),
        "root_mean_squared_error": lambda weights: np.sqrt(_ratio(weights @ errors**2, weights.sum(axis=1))),
        "r2": r2,
        "spearman": lambda weights: _correlation(weights, _ranks(truth, weights), _ranks(predicted, weights)),
    }


def _ranks(values: Values, weights: Weights) -> Weights:
    """The rank of each text's value in each draw `[draws, texts]`; equal values share the middle of their ranks."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(distinct)))
    times = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = times.cumsum(axis=1) - (times - 1) / 2
    return np.asarray(middle[:, place])


def _correlation(weights: Weights, first: Weights, second: Weights) -> Values:
    total = weights.sum(axis=1, keepdims=True)
    one = first - (weights * first).sum(axis=1, keepdims=True) / total
    other = second - (weights * second).sum(axis=1, keepdims=True) / total
    spreads = (weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1)
    return _ratio((weights * one * other).sum(axis=1), np.sqrt(np.maximum(spreads, 0)))


def _difference(first: Figure, second: Figure) -> Figure:
    return lambda weights: first(weights) - second(weights)


def _ratio(above: Any, below: Any) -> Values:
    """`above / below`; NaN where nothing is below."""
    below = np.asarray(below, dtype=float)
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0))


def _interval(value: float, drawn: Values, level: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return Interval(value, float("nan"), float("nan"))
    outside = (1 - level) / 2
    low, high = np.quantile(known, [outside, 1 - outside])
    return Interval(value, float(low), float(high))
