"""How the tokens that a product reads become uint8: on fixed scales, or on a scale of each token's own.

Fixed scales are set by the few channels that reach far (up to 15 times the median one after LayerNorm). So each channel
is centred and divided, and weights and bias make up for it. After LayerNorm that is free: its gain and shift do it.
What a channel is divided by moves the difficulty from the tokens to the weights, as in SmoothQuant (Xiao et al., 2022,
https://arxiv.org/abs/2211.10438); how far is chosen for each tensor by the error that both roundings should make.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.precision.int8.calibration import UINT8_MAX, ZERO_POINTS, Moments
from export.precision.int8.weights import column_scales
from repository.inference import Float32Array

Float64Array = npt.NDArray[np.float64]

# Shares of the difference between channels that may go from the tokens to the weights.
SHARES = np.linspace(0, 1, 21)
# How much further than in calibration a value may reach before it is cut off.
MARGINS = (1.0, 1.05, 1.1, 1.2, 1.3, 1.5)
# Past what calibration saw, values get rarer by the factor e with each such share of it.
TAIL = 0.15
# Squared error of the weights that is left once they are rounded together, of that of the nearest numbers.
ROUNDED_TOGETHER = 0.5


@dataclass(frozen=True)
class FixedScale:
    """`uint8 = (token - centre) / divisor / scale + zero_point`.

    Attributes:
        centre: subtracted from each channel, `[channels]`.
        divisor: each channel's, `[channels]`.
        scale: one for the tensor.
        zero_point: byte that stands for zero.
    """

    centre: Float32Array
    divisor: Float32Array
    scale: np.float32
    zero_point: np.uint8

    def spread(self, weights: Float32Array) -> Float32Array:
        """Weights `[channels, outputs]` for the channels as they are divided."""
        return np.asarray(weights * self.divisor[:, None], dtype=np.float32)

    def second_moments(self, moments: Moments) -> Float64Array:
        """Mean of x xᵀ over tokens, x being the channels centred and divided."""
        mean, centre = moments.total / moments.tokens, self.centre.astype(np.float64)
        centred = moments.second / moments.tokens - np.outer(mean, centre) - np.outer(centre, mean)
        centred += np.outer(centre, centre)
        divided = 1 / self.divisor.astype(np.float64)
        return np.asarray(centred * np.outer(divided, divided))

    def mean(self, moments: Moments) -> Float64Array:
        """Mean of each channel over tokens, centred and divided."""
        return np.asarray((moments.total / moments.tokens - self.centre) / self.divisor)


def fixed_scale(moments: Moments, weights: Sequence[Float32Array]) -> FixedScale:
    """Choose scale, centre and divisors of one tensor for all the weights `[channels, outputs]` it is multiplied by."""
    matrix = np.concatenate(list(weights), axis=1)
    centre = np.asarray((moments.low + moments.high) / 2, dtype=np.float32)
    # A channel that never moved may be one that no calibration text moves.
    reach = np.maximum(moments.high - centre, 1e-6)
    sizes = np.maximum(np.abs(matrix).max(axis=1), 1e-6)
    mean = moments.total / moments.tokens
    variance = np.maximum(np.diag(moments.second) / moments.tokens - mean**2, 0)
    tried = [(_divisor(reach, sizes, share), margin) for share in SHARES for margin in MARGINS]
    errors = [_expected_error(moments.tokens, reach, variance, matrix, divisor, margin) for divisor, margin in tried]
    divisor, margin = tried[int(np.argmin(errors))]
    return FixedScale(centre, divisor, np.float32(_step(reach, divisor, margin)), np.uint8(UINT8_MAX // 2 + 1))


def _divisor(reach: Float32Array, sizes: Float32Array, share: float) -> Float32Array:
    """The divisors that make channels reach alike (share 1) or weights equally large (share 0), of mean 1 in logs."""
    logs = share * np.log(reach) - (1 - share) * np.log(sizes)
    return np.asarray(np.exp(logs - logs.mean()), dtype=np.float32)


def _step(reach: Float32Array, divisor: Float32Array, margin: float) -> float:
    # Half a step is left over at one end: the zero point is a whole number.
    return float(2 * margin * (reach / divisor).max() / (UINT8_MAX - 1))


def _expected_error(
    seen: int, reach: Float32Array, variance: Float64Array, weights: Float32Array, divisor: Float32Array, margin: float
) -> float:
    """Mean squared error of all outputs together: rounded tokens, tokens that are cut off, rounded weights.

    Args:
        seen: tokens that calibration saw.
        reach: how far each channel went from its centre, `[channels]`.
        variance: of each channel, `[channels]`.
        weights: `[channels, outputs]`.
        divisor: of each channel, `[channels]`.
        margin: how much further than in calibration a value may reach.
    """
    sizes = np.square(weights, dtype=np.float64).sum(axis=1)
    step = _step(reach, divisor, margin)
    tokens = (np.square(step * divisor, dtype=np.float64) * sizes).sum() / 12
    tail = TAIL * reach
    room = (margin * (reach / divisor).max() * divisor - reach) / tail
    cut_off = (2 * np.square(tail, dtype=np.float64) * np.exp(-room) * sizes).sum() / seen
    steps = column_scales(weights * divisor[:, None])
    rounded = np.square(steps, dtype=np.float64).sum() * (variance / np.square(divisor, dtype=np.float64)).sum() / 12
    return float(tokens + cut_off + ROUNDED_TOGETHER * rounded)


def row_zero_point(moments: Moments) -> np.uint8:
    """The zero point with which the steps of the tokens' own scales are smallest, in the mean square."""
    return np.uint8(ZERO_POINTS[int(moments.row_steps.argmin())])
