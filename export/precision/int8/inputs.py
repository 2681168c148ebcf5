"""How the tokens that a product reads become uint8: on fixed scales, or on a scale of each token's own.

Fixed scales are set by the few channels that reach far (up to 15 times the median one after LayerNorm). So channels
are centred and the outlying ones divided down, and weights and bias make up for it. After LayerNorm that is free: its
gain and shift do it. An outlying channel whose weights would then spoil its column's scale is repeated, with a share of
the weight each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.precision.int8.calibration import UINT8_MAX, ZERO_POINTS, Moments
from repository.inference import Float32Array

# A channel that reaches past so many times the median one is divided down to that: the least for which the repeats fit.
OUTLYING = np.geomspace(1, 16, 17)
# Most of the channels that may be repeated, as a share of all.
MOST_REPEATED = 1 / 8
# A channel is repeated at most so often; past that, the scales of its columns give way.
MOST_REPEATS = 16


@dataclass(frozen=True)
class FixedScale:
    """`uint8 = (token - centre) / divisor / scale + zero_point`, with some columns repeated.

    Attributes:
        centre: subtracted from each channel, `[channels]`.
        divisor: each channel's, `[channels]`.
        columns: all channels in order, then those that are repeated.
        scale: one for the tensor.
        zero_point: byte that stands for zero.
    """

    centre: Float32Array
    divisor: Float32Array
    columns: npt.NDArray[np.int64]
    scale: np.float32
    zero_point: np.uint8

    def spread(self, weights: Float32Array) -> Float32Array:
        """Weights `[columns, outputs]` for the columns, of weights `[channels, outputs]`."""
        share = self.divisor / np.bincount(self.columns)
        return np.asarray((weights * share[:, None])[self.columns], dtype=np.float32)

    def second_moments(self, moments: Moments) -> npt.NDArray[np.float64]:
        """Mean of x xᵀ over tokens, x being the columns."""
        mean, centre = moments.total / moments.tokens, self.centre.astype(np.float64)
        centred = moments.second / moments.tokens - np.outer(mean, centre) - np.outer(centre, mean)
        centred += np.outer(centre, centre)
        divided = 1 / self.divisor.astype(np.float64)
        return np.asarray((centred * np.outer(divided, divided))[np.ix_(self.columns, self.columns)])

    def mean(self, moments: Moments) -> npt.NDArray[np.float64]:
        """Mean of each column over tokens."""
        return np.asarray(((moments.total / moments.tokens - self.centre) / self.divisor)[self.columns])


def fixed_scale(moments: Moments, weights: Sequence[Float32Array]) -> FixedScale:
    """Choose scale, centre and divisors of one tensor for all the weights `[channels, outputs]` it is multiplied by."""
    centre = np.asarray((moments.low + moments.high) / 2, dtype=np.float32)
    reach = moments.high - centre
    median = np.median(reach[reach > 0]) if (reach > 0).any() else np.float32(1)
    for outlying in OUTLYING:
        divisor = np.asarray(np.maximum(reach / (outlying * median), 1), dtype=np.float32)
        repeats = _repeats(divisor, weights)
        if (repeats - 1).sum() <= MOST_REPEATED * len(divisor):
            break
    columns = np.arange(len(divisor))
    low = min(float(((moments.low - centre) / divisor).min()), 0.0)
    high = max(float(((moments.high - centre) / divisor).max()), 0.0)
    scale = np.float32((high - low) / UINT8_MAX or 1.0)
    zero_point = np.uint8(np.clip(np.rint(-low / scale), 0, UINT8_MAX))
    return FixedScale(centre, divisor, np.concatenate([columns, np.repeat(columns, repeats - 1)]), scale, zero_point)


def _repeats(divisor: Float32Array, weights: Sequence[Float32Array]) -> npt.NDArray[np.int64]:
    """How often each channel has to be there for its weights to be no larger than those of the usual channels."""
    repeats = np.ones(len(divisor), dtype=np.int64)
    outlying = divisor > 1
    for matrix in weights:
        largest = np.maximum(np.abs(matrix[~outlying]).max(axis=0, initial=0), 1e-12)
        needed = np.ceil((np.abs(matrix[outlying]) * divisor[outlying, None] / largest).max(axis=1, initial=1))
        repeats[outlying] = np.maximum(repeats[outlying], np.clip(needed, 1, MOST_REPEATS).astype(np.int64))
    return repeats


def row_zero_point(moments: Moments) -> np.uint8:
    """The zero point with which the steps of the tokens' own scales are smallest, in the mean square."""
    return np.uint8(ZERO_POINTS[int(moments.row_steps.argmin())])
