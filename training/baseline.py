"""The baseline: TF-IDF and a logistic regression on the same splits, chosen on validation as the encoder is."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from training.scores import macro_f1

# Each is fitted on train and the best on validation is kept. `char_wb` n-grams stay inside words and see stems, which
# is what carries from one map to another in German or Russian.
FEATURES = {
    "words 1-2": {"word": (1, 2)},
    "characters 2-5 in words": {"char_wb": (2, 5)},
    "words 1-2 and characters 2-5 in words": {"word": (1, 2), "char_wb": (2, 5)},
}
INVERSE_REGULARIZATION = (10.0, 100.0)
CLASS_WEIGHTS = (None, "balanced")


@dataclass(frozen=True)
class Baseline:
    """The TF-IDF model that did best on validation, and what it answers."""

    features: str
    inverse_regularization: float
    class_weights: str
    validation_predictions: list[str]
    test_predictions: list[str]
    seconds: float


def fit_baseline(
    train: tuple[Sequence[str], Sequence[str]],
    validation: tuple[Sequence[str], Sequence[str]],
    test_sentences: Sequence[str],
    seed: int,
) -> Baseline:
    """Fit each combination on `train` and keep the one with the highest macro-F1 on `validation`.

    Args:
        train: sentences and their labels.
        validation: sentences and their labels.
        test_sentences: only answered, by the model kept; their labels are not looked at here.
        seed: of the solver.
    """
    start = perf_counter()
    best: tuple[float, Pipeline, str, float, str | None] | None = None
    for name, parts in FEATURES.items():
        features = _features(parts).fit(train[0])
        train_matrix, validation_matrix = features.transform(train[0]), features.transform(validation[0])
        for strength in INVERSE_REGULARIZATION:
            for weights in CLASS_WEIGHTS:
                model = LogisticRegression(C=strength, class_weight=weights, max_iter=2000, random_state=seed)
                model.fit(train_matrix, train[1])
                score = macro_f1(validation[1], model.predict(validation_matrix))
                if best is None or score > best[0]:
                    best = (score, Pipeline([("features", features), ("model", model)]), name, strength, weights)
    assert best is not None
    _, pipeline, name, strength, weights = best
    return Baseline(
        features=name,
        inverse_regularization=strength,
        class_weights=weights or "none",
        validation_predictions=[str(label) for label in pipeline.predict(validation[0])],
        test_predictions=[str(label) for label in pipeline.predict(test_sentences)],
        seconds=perf_counter() - start,
    )


def _features(parts: dict[str, tuple[int, int]]) -> FeatureUnion:
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
