"""The baseline: TF-IDF and a linear model on the same splits, chosen on validation as the encoder is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from repository.manifest import ProblemType
from training.data.examples import Target, labels_of
from training.figures.linear import NAMES, LinearModel
from training.figures.scores import CHOSEN_BY, scores

# Each is fitted on train and the best on validation is kept. `char_wb` n-grams stay inside words and see stems, which
# is what carries from one map to another in German or Russian.
FEATURES = {
    "words 1-2": {"word": (1, 2)},
    "characters 2-5 in words": {"char_wb": (2, 5)},
    "words 1-2 and characters 2-5 in words": {"word": (1, 2), "char_wb": (2, 5)},
}
ALL_FEATURES = FEATURES["words 1-2 and characters 2-5 in words"]
INVERSE_REGULARIZATION = {
    ProblemType.SINGLE_LABEL: (10.0, 100.0),
    ProblemType.MULTI_LABEL: (10.0, 100.0),
    ProblemType.REGRESSION: (0.1, 1.0, 10.0),
}
CLASS_WEIGHTS = (None, "balanced")


@dataclass(frozen=True)
class Baseline:
    """The TF-IDF model that did best on validation, and what it answers."""

    model: str
    """Its name, for people."""
    features: str
    inverse_regularization: float
    class_weights: str
    validation_predictions: list[Target]
    test_predictions: list[Target]
    seconds: float


def fit_baseline(
    train: tuple[Sequence[str], Sequence[Target]],
    validation: tuple[Sequence[str], Sequence[Target]],
    test_sentences: Sequence[str],
    seed: int,
    task: ProblemType = ProblemType.SINGLE_LABEL,
) -> Baseline:
    """Fit each combination on `train` and keep the one that does best on `validation`, as an epoch is chosen.

    Args:
        train: sentences and their targets.
        validation: sentences and their targets.
        test_sentences: only answered, by the model kept; their targets are not looked at here.
        seed: of the solver.
        task: what a target is.
    """
    start = perf_counter()
    chosen_by, more_is_better = CHOSEN_BY[task]
    labels = sorted({label for target in train[1] for label in labels_of(target)})
    weights = CLASS_WEIGHTS if task is not ProblemType.REGRESSION else (None,)
    best: tuple[float, Any, LinearModel, Any, list[Target]] | None = None
    for name, parts in FEATURES.items():
        features = text_features(parts).fit(train[0])
        train_matrix, validation_matrix = features.transform(train[0]), features.transform(validation[0])
        for strength, weight in product(INVERSE_REGULARIZATION[task], weights):
            model = LinearModel(task, name, strength, weight, seed=seed)
            fitted = model.fit(train_matrix, train[1], labels)
            answers = model.answer(fitted, validation_matrix, labels)
            score = scores(validation[1], answers, task)[chosen_by] * (1 if more_is_better else -1)
            if best is None or score > best[0]:
                best = (score, features, model, fitted, answers)
    assert best is not None
    _, features, model, fitted, answers = best
    return Baseline(
        model=f"TF-IDF + {NAMES[task]}",
        features=model.features,
        inverse_regularization=model.strength,
        class_weights=model.class_weights or "none",
        validation_predictions=answers,
        test_predictions=model.answer(fitted, features.transform(test_sentences), labels),
        seconds=perf_counter() - start,
    )


def text_features(parts: dict[str, tuple[int, int]]) -> FeatureUnion:
    """Return TF-IDF of words and of characters, by the lengths of their n-grams."""
    vectorizers = [
        (
            analyzer,
            TfidfVectorizer(
                analyzer=analyzer,
                ngram_range=n_grams,
                sublinear_tf=True,
                token_pattern=r"(?u)\b\w+\b" if analyzer == "word" else None,
            ),
        )
        for analyzer, n_grams in parts.items()
    ]
    return FeatureUnion(vectorizers)
