"""What would twice the data bring? A cheap model trained on parts of the groups, and the line through its errors.

The curve is of a linear model on fixed features, not of the model that was fine-tuned: that would have to be trained a
dozen times. Its level is not the model's; whether it still climbs is what it tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.examples import Example, Target
from training.figures.intervals import DRAWS, LEVEL, Interval, Values, draws_of, figures_of
from training.figures.linear import LinearModel

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWN_AT = {1 / 8: 3, 1 / 4: 3, 1 / 2: 2, 1.0: 1}
"""How many draws of groups of each share: all of them can be drawn in one way only."""
MEASURE = {
    ProblemType.SINGLE_LABEL: "macro_f1",
    ProblemType.MULTI_LABEL: "macro_f1",
    ProblemType.REGRESSION: "mean_absolute_error",
}


@dataclass(frozen=True)
class _Try:
    groups: int
    texts: int
    values: Values
    """The figure on the test texts as they are, then on each draw of their groups."""


def learning_curve(
    train: tuple[Any, Sequence[Example]],
    test: tuple[Any, Sequence[Example]],
    labels: Sequence[str],
    task: ProblemType,
    model: LinearModel,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return how a linear model does with 1/8 to all of the groups, and with twice as many if its line goes on.

    The line is that of a power law, log(error) = a + b log(groups), by least squares (J. Hestness et al., "Deep
    Learning Scaling is Predictable, Empirically", 2017); error is 1 - macro-F1, or the mean absolute error. Its
    interval comes from drawing the test groups anew and, each time, one of the tries of each share.

    Args:
        train: features `[texts, ...]` and the examples they are of.
        test: the same of the texts that it is measured on.
        labels: all of them.
        task: what a target is.
        model: what is trained.
        seed: of the draws.

    Returns:
        None where there is too little to draw from: fewer than 8 groups, or shares with one class alone.
    """
    generator = np.random.default_rng(seed)
    names = sorted({example.group for example in train[1]})
    if len(names) < 8 or not test[1]:
        return None
    tries = [_tries(share, train, test, labels, task, model, generator) for share in SHARES]
    if not all(tries):
        return None
    return {
        "model": model.name,
        "figure": MEASURE[task],
        "points": [_point(share, of_share) for share, of_share in zip(SHARES, tries, strict=True)],
        "doubled": _doubled(tries, task, generator),
    }


def _tries(
    share: float, train: Any, test: Any, labels: Sequence[str], task: ProblemType, model: LinearModel, generator: Any
) -> list[_Try]:
    features, examples = train
    names = sorted({example.group for example in examples})
    found = []
    for _ in range(DRAWN_AT[share]):
        chosen = set(generator.permutation(names)[: max(2, round(share * len(names)))].tolist())
        rows = [row for row, example in enumerate(examples) if example.group in chosen]
        targets = [examples[row].target for row in rows]
        if len(set(targets)) > 1:
            answers = model.fit_answer(features[rows], targets, test[0], labels)
            found.append(_Try(len(chosen), len(rows), _values(test[1], answers, task)))
    return found


def _values(test: Sequence[Example], answers: Sequence[Target], task: ProblemType) -> Values:
    figure = figures_of([example.target for example in test], answers, task)[MEASURE[task]]
    drawn = [figure(weights) for weights in draws_of([example.group for example in test], DRAWS, seed=0)]
    return np.concatenate([figure(np.ones((1, len(test)))), *drawn])


def _point(share: float, tries: Sequence[_Try]) -> dict[str, Any]:
    values = [float(one.values[0]) for one in tries]
    return {
        "share": share,
        "groups": tries[0].groups,
        "texts": round(sum(one.texts for one in tries) / len(tries)),
        "values": values,
        "mean": float(np.mean(values)),
    }


def _doubled(tries: Sequence[Sequence[_Try]], task: ProblemType, generator: Any) -> dict[str, Any]:
    is_error = task is ProblemType.REGRESSION
    seen = np.array([of_share[0].groups for of_share in tries], dtype=float)
    means = np.array([np.mean([one.values for one in of_share], axis=0)[0] for of_share in tries])
    drawn = np.empty((len(tries), DRAWS))
    for place, of_share in enumerate(tries):
        chosen = generator.integers(0, len(of_share), DRAWS)
        drawn[place] = np.array([one.values[1:] for one in of_share])[chosen, np.arange(DRAWS)]
    # Of nothing wrong there is no logarithm.
    errors = np.maximum(np.column_stack([means, drawn]) if is_error else 1 - np.column_stack([means, drawn]), 1e-6)
    slope, height = np.polyfit(np.log(seen), np.log(errors), 1)
    now, then = (np.exp(height + slope * np.log(count)) for count in (seen[-1], 2 * seen[-1]))
    level = then if is_error else 1 - then
    gain = then - now if is_error else now - then
    return {
        "groups": int(2 * seen[-1]),
        "value": _with_interval(level),
        "gain": _with_interval(gain),
        "exponent": float(slope[0]),
    }


def _with_interval(values: Values) -> dict[str, float]:
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(values[1:][np.isfinite(values[1:])], [outside, 1 - outside])
    return Interval(float(values[0]), float(low), float(high)).as_json()
