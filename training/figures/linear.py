"""The linear model for each kind of target: what a baseline and a learning curve are made of."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from repository.manifest import ProblemType
from training.data.examples import Target
from training.figures.scores import LEAST_SCORE, indicators

NAMES = {
    ProblemType.SINGLE_LABEL: "logistic regression",
    ProblemType.MULTI_LABEL: "a logistic regression for each label",
    ProblemType.REGRESSION: "ridge regression",
}


@dataclass(frozen=True)
class LinearModel:
    """A linear model of fixed features; single labels and several by logistic regression, numbers by ridge."""

    task: ProblemType
    features: str
    """What they are, for people."""
    strength: float
    """Inverse of the regularization: more of it follows the data more closely."""
    class_weights: str | None = None
    scaled: bool = False
    """Each feature is brought to mean 0 and spread 1: vectors of an encoder, never sparse ones."""
    seed: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"{NAMES[self.task]} on {self.features}"

    def fit_answer(self, train: Any, targets: Sequence[Target], asked: Any, labels: Sequence[str]) -> list[Target]:
        """Fit on features `[texts, ...]` and their targets, and return the answers to the features `asked`."""
        return self.answer(self.fit(train, targets, labels), asked, labels)

    def fit(self, train: Any, targets: Sequence[Target], labels: Sequence[str]) -> Any:
        """Return a fitted model of scikit-learn's."""
        # On the sample's TF-IDF it arrives in a fifth of the default solver's time, at the same optimum.
        logistic = LogisticRegression(
            C=self.strength,
            class_weight=self.class_weights,
            solver="newton-cg",
            max_iter=2000,
            random_state=self.seed,
        )
        inner: Any = logistic
        wanted: Any = list(targets)
        if self.task is ProblemType.MULTI_LABEL:
            inner, wanted = OneVsRestClassifier(logistic), indicators(targets, labels)
        elif self.task is ProblemType.REGRESSION:
            inner = Ridge(alpha=1 / self.strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a label that all texts or none have, and of a solver that stops early
            return (make_pipeline(StandardScaler(), inner) if self.scaled else inner).fit(train, wanted)

    def answer(self, fitted: Any, asked: Any, labels: Sequence[str]) -> list[Target]:
        """Return the answers of what `fit` gave."""
        if self.task is ProblemType.SINGLE_LABEL:
            return [str(label) for label in fitted.predict(asked)]
        if self.task is ProblemType.REGRESSION:
            return [float(number) for number in fitted.predict(asked)]
        reached = np.asarray(fitted.predict_proba(asked)) >= LEAST_SCORE
        return [tuple(label for label, true in zip(labels, row, strict=True) if true) for row in reached]
