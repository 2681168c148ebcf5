"""How right are answers? Accuracy, and macro-F1 over the classes that occur in the truth.

One definition for training, export and benchmarks: their figures stand beside each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score


def accuracy(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The share of answers that are right, in 0 to 1."""
    return float(accuracy_score(truth, predicted))


def macro_f1(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The mean of the classes' F1, in 0 to 1, over the classes that occur in the truth.

    A class of these that is never answered counts as 0. An answer of any other class is a mistake for the class that
    was right, but adds no class to the mean: two models' figures on the same sentences are over the same classes.
    """
    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0))
