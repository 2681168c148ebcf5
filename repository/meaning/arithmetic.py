"""Softmax and sigmoid in double precision. Apart from what a manifest says, which is read where there is no NumPy."""

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def log_softmax(logits: Float64Array) -> Float64Array:
    """The logarithms of the softmax along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def sigmoid(logits: Float64Array) -> Float64Array:
    """The sigmoid, without overflow at either end."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
