"""When two answers to a sentence are the same: the one rule of the parity check and of `diff`; needs no PyTorch."""

import numpy as np
import numpy.typing as npt

from repository.inference import Float32Array, scores
from repository.manifest import ProblemType

# A label of a multi-label model is part of the answer from this score on, as in the gateway.
THRESHOLD = 0.5
# Regressions agree within this much, and this share of the range of the reference's values.
VALUE_MARGIN, RANGE_SHARE = 0.01, 0.05
# Nearer to a tie than this (in probability), a label is decided by rounding and says nothing about the graph.
NEAR_TIE = 0.1

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def same_answers(
    found: Float32Array, reference: Float32Array, best: tuple[IntArray, IntArray], problem_type: ProblemType
) -> BoolArray:
    """Row by row: the same best label, the same labels over the threshold, or values close to each other.

    Args:
        found: scores `[sentences, labels]`.
        reference: scores over the same labels to hold them against.
        best: places of the best label of either `[sentences]`.
        problem_type: which of the three rules holds.
    """
    if problem_type is ProblemType.REGRESSION:
        allowed = VALUE_MARGIN + RANGE_SHARE * float(np.ptp(reference))
        return np.asarray((np.abs(found - reference) <= allowed).all(axis=1), dtype=bool)
    if problem_type is ProblemType.MULTI_LABEL:
        return np.asarray(((found > THRESHOLD) == (reference > THRESHOLD)).all(axis=1), dtype=bool)
    return np.asarray(best[0] == best[1], dtype=bool)


def same_answer(first: Float32Array, second: Float32Array, problem_type: ProblemType) -> BoolArray:
    """Row by row, whether logits `[sentences, labels]` give the same answer."""
    best = (first.argmax(axis=1), second.argmax(axis=1))
    return same_answers(scores(first, problem_type), scores(second, problem_type), best, problem_type)


def decided(logits: Float32Array, problem_type: ProblemType, margin: float = NEAR_TIE) -> BoolArray:
    """Rows on which no label is within `margin` (in probability) of being another one."""
    probabilities = scores(logits, problem_type)
    if problem_type is ProblemType.REGRESSION:
        return np.ones(len(logits), dtype=bool)
    if problem_type is ProblemType.MULTI_LABEL:
        return np.asarray((np.abs(probabilities - THRESHOLD) >= margin / 2).all(axis=1), dtype=bool)
    top = np.sort(probabilities, axis=1)
    return np.asarray(top[:, -1] - top[:, -2] >= margin, dtype=bool)


def confident_changes(found: Float32Array, reference: Float32Array, problem_type: ProblemType) -> BoolArray:
    """Row by row, whether `found` changes an answer of which `reference` is not near a tie.

    Of one label, its first two probabilities differ by more than NEAR_TIE. Of several, it counts if one label that is
    more than half of that from the threshold changes, however near another one is. A number has no ties.

    Args:
        found: logits `[texts, labels]`.
        reference: PyTorch's.
        problem_type: of the model.
    """
    if problem_type is not ProblemType.MULTI_LABEL:
        return ~same_answer(found, reference, problem_type) & decided(reference, problem_type)
    own, expected = scores(found, problem_type), scores(reference, problem_type)
    clear = np.abs(expected - THRESHOLD) > NEAR_TIE / 2
    return np.asarray((clear & ((own > THRESHOLD) != (expected > THRESHOLD))).any(axis=1), dtype=bool)
