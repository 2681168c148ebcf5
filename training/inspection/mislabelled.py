"""Which rows are probably labelled wrongly? Those that a model which never saw them answers otherwise, and surely so.

Confident learning: Northcutt, Jiang and Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset
Labels", arXiv 1911.00068, with the class thresholds of its section 3. What it finds is ranked by how many times
likelier the other label is: of the shipped maps with 5 % of the labels changed (six seeds), 27 % of the first 100 rows
were changed ones, 90 % by an encoder's vectors; ranked by the difference of the two probabilities, 23 and 78 %.
A number is held against its own spread: Iglewicz and Hoaglin (1993), modified z-scores of the residuals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.examples import Example, Target

FOLDS = 5
# The modified z-score from which Iglewicz and Hoaglin take a value for an outlier.
OUTLIER = 3.5
# Inverse strength of regularization; vectors, of TF-IDF or of an encoder, are of length 1 or so. At 0.03 to 10 fewer of
# the first 100 rows were changed ones, by either.
_STRENGTH = 1.0
# A class that a model never saw has a probability of 0: nothing is more than a million times likelier.
_LEAST = 1e-6
_SEED = 0
# Texts beyond this are too many for a sparse model on one core in a minute: a part of them stands for all.
MOST_TRAINED = 50_000

Advance = Callable[[int], object]
Embed = Callable[[Sequence[str], Advance], Any]
"""Texts in, told of how many are done; vectors FLOAT32 `[texts, dimensions]` out."""


@dataclass(frozen=True)
class Doubt:
    """An example whose label is doubted."""

    place: int
    """In the examples that were given."""
    given: Target
    suggested: Target
    score: float
    """How many times likelier the suggested label is than the given one; of numbers the modified z-score."""


def doubted(
    examples: Sequence[Example], task: ProblemType, vectors: Any = None, advance: Advance = lambda _: None
) -> list[Doubt]:
    """Return the examples that are probably mislabelled, the surest first.

    Args:
        examples: those of one group are judged by a model that saw none of the group.
        task: what their labels are.
        vectors: of the texts, FLOAT `[texts, dimensions]`, to judge by; None: TF-IDF of words and parts of words.
        advance: told of each fold that is done; there are FOLDS for each label that is judged alone.
    """
    folds = _folds(examples)
    if folds is None:
        return []
    texts = [example.text for example in examples]
    if task is ProblemType.REGRESSION:
        return _outliers(examples, _expected_numbers(texts, vectors, _targets(examples), folds, advance))
    if task is ProblemType.SINGLE_LABEL:
        names = np.array([str(example.target) for example in examples])
        labels, given = np.unique(names, return_inverse=True)
        probabilities = _out_of_fold(texts, vectors, given, folds, advance, classes=len(labels))
        return [
            Doubt(place, str(labels[given[place]]), str(labels[other]), times)
            for place, other, times in confident_errors(probabilities, given)
        ]
    return _doubted_labels(examples, texts, vectors, folds, advance)


def confident_errors(probabilities: Any, given: Any) -> list[tuple[int, int, float]]:
    """Return place, likelier class and how many times likelier it is, of the labels off the confident joint's diagonal.

    Args:
        probabilities: out of fold, FLOAT `[texts, classes]`.
        given: numbers of the classes that the texts are labelled with, `[texts]`.
    """
    places = np.arange(len(given))
    # The threshold of a class is how sure the model is, on average, of the texts that bear it.
    thresholds = np.array(
        [
            probabilities[given == one, one].mean() if (given == one).any() else 2.0
            for one in range(probabilities.shape[1])
        ]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    likelier = reached.argmax(axis=1)
    times = probabilities[places, likelier] / np.maximum(probabilities[places, given], _LEAST)
    chosen = places[(reached.max(axis=1) >= 0) & (likelier != given) & (times > 1)]
    order = chosen[np.argsort(-times[chosen], kind="stable")]
    return [(int(place), int(likelier[place]), float(times[place])) for place in order]


def _doubted_labels(
    examples: Sequence[Example], texts: Sequence[str], vectors: Any, folds: Any, advance: Advance
) -> list[Doubt]:
    """Each label alone is a question with the answers yes and no."""
    doubts: dict[int, tuple[set[str], float]] = {}
    for label in sorted({label for example in examples for label in example.labels}):
        given = np.array([int(label in example.labels) for example in examples])
        if min(np.bincount(given, minlength=2)) < FOLDS:
            advance(FOLDS)
            continue
        probabilities = _out_of_fold(texts, vectors, given, folds, advance, classes=2)
        for place, _, times in confident_errors(probabilities, given):
            changed, most = doubts.get(place, (set(), 0.0))
            doubts[place] = changed | {label}, max(most, times)
    return sorted(
        (
            Doubt(place, examples[place].target, tuple(sorted(changed ^ set(examples[place].labels))), times)
            for place, (changed, times) in doubts.items()
        ),
        key=lambda doubt: (-doubt.score, doubt.place),
    )


def _expected_numbers(texts: Sequence[str], vectors: Any, numbers: Any, folds: Any, advance: Advance) -> Any:
    """Return what texts like each one suggest; twice, the second time without the outliers of the first.

    One price with three zeros too many would else make a least-squares model expect too much of all texts like it, and
    doubt those. So that it doesn't do so in the first place, numbers far out stand at the outer fence there: three
    times the distance of the quartiles beyond them (Tukey, "Exploratory Data Analysis", 1977).
    """
    low, high = np.quantile(numbers, [0.25, 0.75])
    fence = 3 * (high - low)
    learned = np.clip(numbers, low - fence, high + fence) if fence > 0 else numbers
    first = _out_of_fold(texts, vectors, learned, folds, lambda _: None, number=True)
    used = _deviations(numbers - first) <= OUTLIER
    return _out_of_fold(texts, vectors, learned, folds, advance, number=True, used=used)


def _outliers(examples: Sequence[Example], expected: Any) -> list[Doubt]:
    scores = _deviations(_targets(examples) - expected)
    return [
        Doubt(int(place), examples[place].target, float(f"{expected[place]:.6g}"), float(scores[place]))
        for place in np.argsort(-scores, kind="stable")
        if scores[place] > OUTLIER
    ]


def _deviations(residuals: Any) -> Any:
    """Modified z-scores; 0 where most are the same."""
    deviations = np.abs(residuals - np.median(residuals))
    spread = np.median(deviations)
    return 0.6745 * deviations / spread if spread > 0 else np.zeros(len(residuals))


def _targets(examples: Sequence[Example]) -> Any:
    return np.array([float(example.target) for example in examples if isinstance(example.target, float)])


def _folds(examples: Sequence[Example]) -> Any:
    """Return the fold of each example, groups whole and by their hash as good as by chance; None: too few groups."""
    groups = sorted({example.group for example in examples})
    if len(groups) < FOLDS:
        return None
    order = np.random.default_rng(_SEED).permutation(len(groups)) % FOLDS
    fold_of = dict(zip(groups, order, strict=True))
    return np.array([fold_of[example.group] for example in examples])


def _out_of_fold(
    texts: Sequence[str],
    vectors: Any,
    given: Any,
    folds: Any,
    advance: Advance,
    classes: int = 0,
    number: bool = False,
    used: Any = True,
) -> Any:
    """Return for each text what a model of the other folds says: probabilities `[texts, classes]`, or a number.

    A model is fitted to the texts of the other folds that are `used`.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    found = np.zeros(len(texts) if number else (len(texts), classes))
    for fold in range(FOLDS):
        others, own = np.flatnonzero((folds != fold) & used), np.flatnonzero(folds == fold)
        if len(others) > MOST_TRAINED:
            others = np.sort(np.random.default_rng(_SEED).choice(others, MOST_TRAINED, replace=False))
        train, asked = _features(texts, vectors, others, own)
        if number:
            found[own] = Ridge(alpha=1.0).fit(train, given[others]).predict(asked)
        elif len(np.unique(given[others])) > 1:
            model = LogisticRegression(C=_STRENGTH, max_iter=300, tol=1e-3)
            model.fit(train, given[others])
            found[np.ix_(own, model.classes_)] = model.predict_proba(asked)
        else:
            found[own, given[others][0]] = 1.0
        advance(1)
    return found


def _features(texts: Sequence[str], vectors: Any, others: Any, own: Any) -> tuple[Any, Any]:
    if vectors is not None:
        return vectors[others], vectors[own]
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", max_features=100_000)),
            ("stems", TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, max_features=100_000)),
        ]
    )
    return features.fit_transform([texts[place] for place in others]), features.transform([texts[i] for i in own])
