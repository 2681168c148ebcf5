"""Scores become labels with scores, best first, as `transformers.pipeline("text-classification")` gives them."""

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from repository.manifest import Manifest, ProblemType

ALL_LABELS = 0


class LabelScore(TypedDict):
    """One label and its score."""

    label: str
    score: float


def ranked(
    scores: npt.NDArray[np.floating[Any]],
    manifest: Manifest,
    top_k: int | None,
    threshold: float | npt.NDArray[np.floating[Any]],
) -> list[LabelScore]:
    """Labels of one text, best first; equal scores stay in the order of the labels.

    Args:
        scores: `[labels]` of one text.
        manifest: of the version that gave them.
        top_k: how many labels, `ALL_LABELS` for every one. None: the best one, or, where several labels can be true
            at a time (multi label), every label that reaches the threshold.
        threshold: least score of a label in a multi-label answer without `top_k`, of all labels or `[labels]`.
    """
    if top_k == 1 or (top_k is None and not many_can_be_true(manifest)):
        best = int(scores.argmax())
        return [{"label": manifest.labels[best], "score": float(scores[best])}]
    order = np.argsort(-scores, kind="stable")
    if top_k is None:
        order = order[(scores >= threshold)[order]]
    elif top_k != ALL_LABELS:
        order = order[:top_k]
    return [{"label": manifest.labels[index], "score": float(scores[index])} for index in order.tolist()]


def many_can_be_true(manifest: Manifest) -> bool:
    """Whether an answer without `top_k` may have several labels, or none."""
    return manifest.problem_type is ProblemType.MULTI_LABEL and len(manifest.labels) > 1
