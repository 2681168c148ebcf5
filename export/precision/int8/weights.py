"""Rounds the weights of one product to int8 so that the product changes least on real sentences.

Each column of `[inputs, outputs]` gets its own scale. The rounding is that of GPTQ (Frantar et al., 2022,
https://arxiv.org/abs/2210.17323): one input after another is rounded, and those still to come take up the error, as
far as they move together with it on the calibration sentences. What is left of the mean error goes into the bias.
"""

import numpy as np
import numpy.typing as npt

from repository.inference import Float32Array

Float64Array = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]

LARGEST = 127
# Processors without VNNI add two products of an unsigned and a signed byte in 16 bits, with saturation:
# 255 * 128 = 32640 still fits. Neighbouring inputs (0 and 1, 2 and 3, ...) are the ones added.
PAIR_LIMIT = 128
# Share of the mean variance added to every input, so that rare inputs do not make the second moments singular.
DAMPING = 0.01
# Inputs rounded before their errors are passed on to all others at once.
BLOCK = 64


def round_weights(weights: Float32Array, second_moments: Float64Array) -> tuple[Int8Array, Float32Array]:
    """int8 weights `[inputs, outputs]` that no input byte can bring to saturation, and their scales `[outputs]`.

    Args:
        weights: float32 weights `[inputs, outputs]`.
        second_moments: mean of x xᵀ over tokens, `[inputs, inputs]`.
    """
    inputs = len(weights)
    scale = column_scales(weights)
    # The inputs that matter most come first: all others are left to make up for them.
    order = np.argsort(-np.diag(second_moments), kind="stable")
    damped = second_moments[np.ix_(order, order)] + np.eye(inputs) * _damping(second_moments)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    remaining = (weights[order] / scale).astype(np.float64)
    rounded = np.zeros(weights.shape, dtype=np.int64)
    for start in range(0, inputs, BLOCK):
        end = min(start + BLOCK, inputs)
        errors = np.empty((end - start, weights.shape[1]))
        for position in range(start, end):
            row = order[position]
            low, high = _pair_bounds(rounded, row)
            rounded[row] = np.clip(np.rint(remaining[position]), low, high)
            error = (remaining[position] - rounded[row]) / factor[position, position]
            errors[position - start] = error
            remaining[position + 1 : end] -= np.outer(factor[position, position + 1 : end], error)
        remaining[end:] -= factor[start:end, end:].T @ errors
    return rounded.astype(np.int8), scale


def column_scales(weights: Float32Array) -> Float32Array:
    """The step of each column of `[inputs, outputs]` with which no two neighbouring weights saturate, `[outputs]`."""
    padded = np.pad(weights, ((0, len(weights) % 2), (0, 0)))
    pairs = padded.reshape(-1, 2, weights.shape[1])
    upward = np.clip(pairs, 0, None).sum(axis=1).max(axis=0)
    downward = np.clip(-pairs, 0, None).sum(axis=1).max(axis=0)
    largest = np.maximum(upward, downward)
    return np.asarray(np.where(largest > 0, largest, 1.0) / LARGEST, dtype=np.float32)


def _pair_bounds(rounded: npt.NDArray[np.int64], row: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What the weights of an input may be, given those of the input it is added to in 16 bits."""
    other = rounded[row ^ 1] if row ^ 1 < len(rounded) else np.zeros_like(rounded[row])
    low = np.maximum(-LARGEST, -PAIR_LIMIT - np.minimum(other, 0))
    high = np.minimum(LARGEST, PAIR_LIMIT - np.maximum(other, 0))
    return low, high


def _damping(second_moments: Float64Array) -> float:
    mean = float(np.mean(np.diag(second_moments)))
    return DAMPING * mean if mean > 0 else 1.0
