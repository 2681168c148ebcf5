"""Which temperature, or which sigmoid for each label, makes scores say how often they are right?"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.meaning.arithmetic import log_softmax

_LEAST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE = math.log(0.05), math.log(20)
_LEAST_SLOPE, _MOST_SLOPE, _MOST_OFFSET = 0.01, 100.0, 50.0
_DIGITS = 4
# Of texts with a label, and of texts without: a sigmoid of fewer would be made of chance.
LEAST_OF_EACH = 10


def fit_temperature(logits: npt.NDArray[np.floating[Any]], answers: npt.NDArray[np.integer[Any]]) -> float:
    """What to divide logits by so that the largest probability says how often the answer is the right one.

    The temperature of the least log loss (C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural
    Networks", 2017, arXiv:1706.04599), between 0.05 and 20.

    Args:
        logits: `[texts, labels]`.
        answers: places of the right labels, `[texts]`.
    """
    from scipy.optimize import minimize_scalar

    wide = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return mean_log_loss(wide / math.exp(log_temperature), answers)

    found = minimize_scalar(loss, bounds=(_LEAST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE), method="bounded")
    return round(math.exp(float(found.x)), _DIGITS)


def fit_sigmoid(logits: npt.NDArray[np.floating[Any]], true: npt.NDArray[np.integer[Any]]) -> tuple[float, float]:
    """The slope and offset of a label's sigmoid: those of the least log loss, the slope above 0.

    Platt's targets, (P + 1) / (P + 2) and 1 / (N + 2) of P texts with the label and N without, in place of 1 and 0 keep
    a label that is never taken wrongly from scores of exactly 0 and 1 (J. Platt, "Probabilistic Outputs for Support
    Vector Machines", 1999; H. Lin, C. Lin, R. Weng, "A Note on Platt's Probabilistic Outputs", 2007).

    Args:
        logits: of one label, `[texts]`.
        true: 1 where the label is true of the text, else 0.

    Returns:
        1 and 0, which change nothing, of a label that fewer than LEAST_OF_EACH texts have, or do not have.
    """
    from scipy.optimize import minimize

    positives = int(true.sum())
    negatives = len(true) - positives
    if min(positives, negatives) < LEAST_OF_EACH:
        return 1.0, 0.0
    wide = logits.astype(np.float64)
    target = np.where(true == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean log loss, and how it grows with slope and offset."""
        given = parameters[0] * wide + parameters[1]
        off = 0.5 * (1.0 + np.tanh(0.5 * given)) - target
        value = float(np.mean(np.logaddexp(0, given) - target * given))
        return value, np.array([float(np.mean(off * wide)), float(np.mean(off))])

    bounds = [(_LEAST_SLOPE, _MOST_SLOPE), (-_MOST_OFFSET, _MOST_OFFSET)]
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    slope, offset = (round(float(value), _DIGITS) for value in found.x)
    return slope, offset


def mean_log_loss(logits: npt.NDArray[np.float64], answers: npt.NDArray[np.integer[Any]]) -> float:
    """Mean of `-log` of the right label's softmax; of logits `[texts, labels]` and places of labels `[texts]`."""
    return float(-log_softmax(logits)[np.arange(len(logits)), answers].mean())
