"""How good answers are, for each kind of target; training, evaluation and export take their figures from here."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.examples import Target, labels_of

# Of a sigmoid; the gateway's THRESHOLD is this by default.
LEAST_SCORE = 0.5
# By which the best epoch is chosen, and whether more of it is better.
CHOSEN_BY = {
    ProblemType.SINGLE_LABEL: ("macro_f1", True),
    ProblemType.MULTI_LABEL: ("macro_f1", True),
    ProblemType.REGRESSION: ("root_mean_squared_error", False),
}


def scores(truth: Sequence[Target], predicted: Sequence[Target], task: ProblemType) -> dict[str, float]:
    """Return the figures of a kind of target.

    Returns:
        `accuracy` and `macro_f1` for one label; for several `exact_match` (all labels of a text right), `micro_f1` and
        `macro_f1`; for numbers `mean_absolute_error` and `root_mean_squared_error` in their unit, `r2` and `spearman`
        (rank correlation). NaN where a figure does not exist, such as the correlation with a constant.
    """
    if task is ProblemType.SINGLE_LABEL:
        return {"accuracy": accuracy(truth, predicted), "macro_f1": macro_f1(truth, predicted)}
    if task is ProblemType.MULTI_LABEL:
        return _of_several(truth, predicted)
    return _of_numbers(np.array(truth, dtype=float), np.array(predicted, dtype=float))


def answers_of(logits: Any, labels: Sequence[str], task: ProblemType) -> list[Target]:
    """Return what logits `[texts, labels]` answer: the best label, all labels that reach LEAST_SCORE, or the number."""
    if task is ProblemType.SINGLE_LABEL:
        return [labels[number] for number in np.argmax(logits, axis=-1).tolist()]
    if task is ProblemType.MULTI_LABEL:
        reached = np.asarray(logits) >= math.log(LEAST_SCORE / (1 - LEAST_SCORE))
        return [tuple(label for label, true in zip(labels, row, strict=True) if true) for row in reached]
    return [float(number) for number in np.asarray(logits, dtype=float).reshape(-1)]


def accuracy(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The share of answers that are right, in 0 to 1."""
    from sklearn.metrics import accuracy_score  # a second to import, which answers alone need not wait for

    return float(accuracy_score(truth, predicted))


def macro_f1(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The mean of the classes' F1, in 0 to 1, over the classes that occur in the truth.

    A class of these that is never answered counts as 0. An answer of any other class is a mistake for the class that
    was right, but adds no class to the mean: two models' figures on the same sentences are over the same classes.
    """
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0))


def is_right(truth: Target, predicted: Target) -> bool:
    """Whether an answer is right: the label, or all labels of a text. Of numbers there is no such thing: equal ones."""
    return (
        set(truth) == set(predicted)
        if isinstance(truth, tuple) and isinstance(predicted, tuple)
        else (truth == predicted)
    )


def indicators(targets: Sequence[Target], labels: Sequence[str]) -> Any:
    """Return INT64 `[texts, labels]`: 1 where a label is true of a text."""
    places = {label: place for place, label in enumerate(labels)}
    rows = np.zeros((len(targets), len(labels)), dtype=np.int64)
    for row, target in enumerate(targets):
        for label in labels_of(target):
            if label in places:
                rows[row, places[label]] = 1
    return rows


def _of_several(truth: Sequence[Target], predicted: Sequence[Target]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    occurring = sorted({label for target in truth for label in labels_of(target)})
    exact = float(
        np.mean([set(labels_of(one)) == set(labels_of(two)) for one, two in zip(truth, predicted, strict=True)])
    )
    if not occurring:
        return {"exact_match": exact, "micro_f1": float("nan"), "macro_f1": float("nan")}
    everything = sorted({label for targets in (truth, predicted) for target in targets for label in labels_of(target)})
    micro = f1_score(indicators(truth, everything), indicators(predicted, everything), average="micro", zero_division=0)
    of_occurring = indicators(truth, occurring), indicators(predicted, occurring)
    macro = f1_score(*of_occurring, average="macro", zero_division=0)
    return {"exact_match": exact, "micro_f1": float(micro), "macro_f1": float(macro)}


def _of_numbers(truth: Any, predicted: Any) -> dict[str, float]:
    from scipy.stats import spearmanr
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    varied = len(truth) > 1 and np.ptp(truth) > 0
    return {
        "mean_absolute_error": float(mean_absolute_error(truth, predicted)),
        "root_mean_squared_error": float(root_mean_squared_error(truth, predicted)),
        "r2": float(r2_score(truth, predicted)) if varied else float("nan"),
        "spearman": float(spearmanr(truth, predicted).statistic) if varied and np.ptp(predicted) > 0 else float("nan"),
    }
