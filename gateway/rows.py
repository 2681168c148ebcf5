"""What does Triton's answer to a batch say of each of its sentences? Logits and scores, or that the model failed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gateway.errors import ModelFailedError
from repository.inference import Float32Array, scores
from repository.manifest import Manifest


class Row(NamedTuple):
    """Triton's answer to one sentence."""

    logits: Float32Array
    """`[labels]`"""
    scores: Float32Array
    """`[labels]`, by softmax or sigmoid as the version's manifest says."""
    waited_s: float
    """How long the sentence waited for its call."""


def rows_of(
    logits: Float32Array, version: int, manifest: Manifest, waited_s: Sequence[float]
) -> list[Row | ModelFailedError]:
    """The answer to each sentence of a batch; an error for one with a logit that is no finite number.

    Args:
        logits: `[sentences, labels]`.
        version: the version that gave them.
        manifest: that version's.
        waited_s: how long each sentence waited for its call.

    Raises:
        ModelFailedError: the logits have another shape.
    """
    if logits.shape != (len(waited_s), len(manifest.labels)):
        expected = f"{len(waited_s)} sentences and {len(manifest.labels)} labels"
        raise ModelFailedError(f"Version {version} of the model gave logits {list(logits.shape)} for {expected}.")
    # For the whole batch at once: NumPy costs as much for one row as for all of them.
    finite: list[bool] = np.isfinite(logits).all(axis=1).tolist()  # type: ignore[assignment]
    batch_scores = scores(logits, manifest.problem_type)
    return [
        Row(logits[row], batch_scores[row], seconds)
        if finite[row]
        else ModelFailedError(f"Version {version} of the model gave a logit that is no finite number.")
        for row, seconds in enumerate(waited_s)
    ]
