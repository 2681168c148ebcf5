"""For which shapes does TensorRT build its engine? A profile of the lengths that real sentences have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from repository.inference import LENGTH_MULTIPLE
from repository.manifest import INPUTS

# Of the tokens that are computed, this share lies in sentences that are no longer than the optimum's.
SHARE = 0.5
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Profile:
    """Shapes `(batch, sequence)` of both inputs: the smallest, the one that is built for, and the largest.

    An engine takes whatever lies between the smallest and the largest and chooses its kernels for the one between.
    """

    smallest: tuple[int, int]
    optimum: tuple[int, int]
    largest: tuple[int, int]

    @property
    def parameters(self) -> dict[str, str]:
        """As Triton's ONNX Runtime backend takes them, and hands them on to ONNX Runtime by the same names.

        https://github.com/triton-inference-server/onnxruntime_backend#onnx-runtime-with-tensorrt-optimization
        """
        named = {"min": self.smallest, "opt": self.optimum, "max": self.largest}
        return {
            f"trt_profile_{name}_shapes": ",".join(f"{given}:{batch}x{length}" for given in INPUTS)
            for name, (batch, length) in named.items()
        }


def profile_of(lengths: Sequence[int], max_batch_size: int, max_length: int, batch_tokens: int) -> Profile:
    """The profile for sentences of these lengths.

    Built for is the length at which half of all *tokens* are in sentences as long or shorter: there is the work. Of
    sentences that long a call has as many as `batch_tokens` allows. The largest shape is the model's own limit, not
    the longest of these sentences: ONNX Runtime fails a request whose shape is outside of an explicit profile.

    Args:
        lengths: tokens of each sentence, special ones included, as they are after truncation.
        max_batch_size: of `config.pbtxt`.
        max_length: of the manifest: the longest that the model takes, in tokens.
        batch_tokens: most tokens of a call, padding included.

    Raises:
        ValueError: there are no lengths.
    """
    if not lengths:
        raise ValueError("no sentence to take lengths from")
    length = min(max_length, _rounded(_length_of_half_the_work(lengths)))
    batch = max(1, min(max_batch_size, batch_tokens // length))
    # The gateway pads to multiples of eight, a caller of Triton's own may not.
    largest = max_length if max_length % LENGTH_MULTIPLE == 0 else _rounded(max_length)
    return Profile((1, 1), (batch, length), (max_batch_size, largest))


def percentiles(lengths: Sequence[int]) -> dict[int, int]:
    """Lengths, in tokens, that so many of 100 sentences do not exceed."""
    ordered = sorted(lengths)
    return {share: ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in PERCENTILES}


def _length_of_half_the_work(lengths: Sequence[int]) -> int:
    ordered = sorted(lengths)
    half = SHARE * sum(ordered)
    return next(length for length, done in zip(ordered, accumulate(ordered), strict=True) if done >= half)


def _rounded(length: int) -> int:
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
