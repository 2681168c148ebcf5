"""When two answers to a sentence are the same: the one rule of the parity check and of `diff`; needs no PyTorch."""

import numpy as np
import numpy.typing as npt

from repository.inference import Float32Array
from repository.manifest import ProblemType

# A label of a multi-label model is part of the answer from this score on, as in the gateway.
THRESHOLD = 0.5
# Regressions agree within this much, and this share of the range of the reference's values.
VALUE_MARGIN, RANGE_SHARE = 0.01, 0.05

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
