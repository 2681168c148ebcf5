"""What does a base model make of texts, untrained? One vector a text, as a linear model takes them; needs torch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.examples import DataError
from training.encoders.base_folder import BaseModelError
from training.encoders.base_model import read_base_model
from training.fit.embeddings import base_vectors


def sentence_vectors(
    texts: Sequence[str], base_model: str | None, max_length: int, advance: Callable[[int], object] = lambda _: None
) -> Any:
    """Return FLOAT32 `[texts, dimensions]`, each dimension centred and scaled to one spread.

    Args:
        texts: one or more.
        base_model: as for training.
        max_length: tokens of a text that are read.
        advance: told how many texts are done.

    Raises:
        DataError: there is no such base model.
    """
    try:
        base = read_base_model(base_model)
        base = replace(base, sequence_limit=min(max_length, base.sequence_limit))
        vectors = base_vectors(base, ("one", "other"), ProblemType.SINGLE_LABEL, texts, advance)
    except BaseModelError as error:
        raise DataError(str(error)) from None
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    # Encoders that were trained by contrast lie in a narrow cone: what all have in common says nothing.
    spread = vectors.std(axis=0)
    return (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1) / np.sqrt(vectors.shape[1])
