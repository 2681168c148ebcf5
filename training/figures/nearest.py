"""How alike texts are: by an encoder's mean vectors where there are some, else by the words and letters they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BY_WORDS = "TF-IDF of words and of characters within words"
BY_ENCODER = "the mean vectors of the base model before fine-tuning"


@dataclass(frozen=True)
class Likeness:
    """Vectors of unit length (dense or sparse) of the test texts and of the training texts; alike is their cosine."""

    by: str
    test: Any
    train: Any

    def nearest(self, places: Sequence[int], count: int) -> list[list[tuple[int, float]]]:
        """Return for each of these test texts the training texts most like it, with their cosine, most alike first.

        Those that have nothing in common with it are left out, and all but one of the same cosine and place.
        """
        if not len(places) or not self.train.shape[0]:
            return [[] for _ in places]
        cosines = self.test[list(places)] @ self.train.T
        found = np.asarray(cosines.todense() if hasattr(cosines, "todense") else cosines)
        order = np.argsort(-found, axis=1, kind="stable")[:, :count]
        return [
            [(int(at), float(row[at])) for at in best if row[at] > 0] for row, best in zip(found, order, strict=True)
        ]


def by_words(test: Sequence[str], train: Sequence[str]) -> Likeness:
    """Vectors by the words and letters of the texts: nothing but scikit-learn is needed."""
    from sklearn.preprocessing import normalize

    from training.figures.baseline import ALL_FEATURES, text_features

    features = text_features(ALL_FEATURES).fit([*train, *test] if not len(train) else train)
    return Likeness(
        BY_WORDS,
        normalize(features.transform(test)),
        normalize(features.transform(train)) if len(train) else np.zeros((0, 1)),
    )


def by_vectors(test: Any, train: Any, by: str = BY_ENCODER) -> Likeness:
    """Vectors `[texts, width]` of an encoder, brought to unit length."""
    return Likeness(by, _unit(test), _unit(train))


def _unit(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
