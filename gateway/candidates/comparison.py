"""Does the candidate give the answer that the current version gave, and if not, was that one sure of it?

The rules are those of the parity check at export (`export/parity/agreement.py`), but labels are compared by name: the
two versions may have others, or the same in another order.
"""

from typing import NamedTuple

import numpy as np

from repository.inference import Float32Array
from repository.manifest import Manifest, ProblemType

NEAR_TIE = 0.1
"""Nearer to a tie than this, in probability, a label says nothing; as in the parity check at export."""
VALUE_MARGIN, RANGE_SHARE = 0.01, 0.05
"""Values of a regression agree within this much, and this share of the value itself: live, nobody knows the range."""

NO_LABEL = "(none)"


class Compared(NamedTuple):
    """Two answers to one sentence."""

    label: str
    """The current version's best label; of several labels NO_LABEL where none reaches the threshold."""
    agrees: bool
    is_confident_change: bool
    score: float
    """The current version's, of its label."""
    other_label: str
    other_score: float
    """The candidate's, of its own best label."""
    shift: float
    """What the score of the current version's label changes by."""


def compare(
    scores: Float32Array, manifest: Manifest, found: Float32Array, candidate: Manifest, threshold: float
) -> Compared:
    """Hold the candidate's scores against the current version's.

    Args:
        scores: `[labels]` of the current version.
        manifest: its manifest.
        found: `[labels]` of the candidate.
        candidate: its manifest.
        threshold: of the labels of a multi-label model.
    """
    best, other = int(scores.argmax()), int(found.argmax())
    label, other_label = manifest.labels[best], candidate.labels[other]
    same_label = dict(zip(candidate.labels, found.tolist(), strict=True)).get(label, 0.0)
    if manifest.problem_type is not candidate.problem_type:
        agrees, confident = False, True  # a label and a number are never the same answer
    elif manifest.problem_type is ProblemType.REGRESSION:
        agrees = _same_values(scores, manifest, found, candidate)
        confident = not agrees
    elif manifest.problem_type is ProblemType.MULTI_LABEL:
        agrees, confident = _same_labels(scores, manifest, found, candidate, threshold)
        label = label if scores[best] >= threshold else NO_LABEL
        other_label = other_label if found[other] >= threshold else NO_LABEL
    else:
        agrees = label == other_label
        confident = not agrees and _is_decided(scores)
    score = float(scores[best])
    return Compared(label, agrees, confident, score, other_label, float(found[other]), float(same_label) - score)


def _is_decided(scores: Float32Array) -> bool:
    if len(scores) < 2:
        return True
    second, first = np.partition(scores, -2)[-2:].tolist()
    return bool(first - second > NEAR_TIE)


def _same_values(scores: Float32Array, manifest: Manifest, found: Float32Array, candidate: Manifest) -> bool:
    if manifest.labels != candidate.labels:
        return False
    return bool((np.abs(found - scores) <= VALUE_MARGIN + RANGE_SHARE * np.abs(scores)).all())


def _same_labels(
    scores: Float32Array, manifest: Manifest, found: Float32Array, candidate: Manifest, threshold: float
) -> tuple[bool, bool]:
    """Whether the labels over the threshold are the same, and whether one changed that was far from it."""
    own = dict(zip(manifest.labels, scores.tolist(), strict=True))
    others = dict(zip(candidate.labels, found.tolist(), strict=True))
    changed = [
        label for label in own | others if (own.get(label, 0.0) >= threshold) != (others.get(label, 0.0) >= threshold)
    ]
    return not changed, any(abs(own.get(label, 0.0) - threshold) > NEAR_TIE / 2 for label in changed)
