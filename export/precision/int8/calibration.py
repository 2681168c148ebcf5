"""What the inputs of a graph's products look like on real texts; several passes keep the memory bounded."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

from repository.inference import Float32Array, Int64Array, pad_batch

# Tokens that are summed up in one go, or those of one text.
AT_ONCE = 1024
# Second moments that are held at a time; past that, the texts are run once more for the rest.
MOST_MOMENT_BYTES = 128 * 2**20
# Zero points that a tensor whose rows have scales of their own can choose from: values below zero get so many steps.
ZERO_POINTS = np.array([1, 2, 4, 8, 16, 32, 64, 96, 128])
UINT8_MAX = 255


class CalibrationText(NamedTuple):
    """A text, or a pair of texts, as a graph is asked it."""

    ids: Sequence[int]
    """Token ids, special tokens included."""
    mask: Sequence[int] | None = None
    """Attention mask, as `repository.inference.mask_of` gives it; None for ones."""

    def feed(self, pad_token_id: int) -> dict[str, Int64Array]:
        """A graph's inputs for it alone, without padding."""
        return pad_batch([self.ids], pad_token_id, len(self.ids), [self.mask])


class Moments:
    """What is known of one tensor `[..., channels]` from the calibration texts, over its tokens."""

    def __init__(self, channels: int) -> None:
        self.tokens = 0
        self.low: Float32Array = np.full(channels, np.inf, dtype=np.float32)
        self.high: Float32Array = np.full(channels, -np.inf, dtype=np.float32)
        self.total: npt.NDArray[np.float64] = np.zeros(channels)
        self.second: Float32Array = np.zeros((channels, channels), dtype=np.float32)
        self.row_steps: npt.NDArray[np.float64] = np.zeros(len(ZERO_POINTS))
        """For each of ZERO_POINTS, sum over tokens of the squared step that a token's own range would need."""

    def add(self, rows: Float32Array) -> None:
        """Take in rows `[tokens, channels]`."""
        self.tokens += len(rows)
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        self.total += rows.sum(axis=0, dtype=np.float64)
        self.second += rows.T @ rows
        highest, lowest = (np.maximum(reach, 0)[:, None] for reach in (rows.max(axis=1), -rows.min(axis=1)))
        steps = np.maximum(highest / (UINT8_MAX - ZERO_POINTS), lowest / ZERO_POINTS)
        self.row_steps += np.square(steps, dtype=np.float64).sum(axis=0)


def observe(
    model: Any, weights: Path, channels: dict[str, int], calibration: Sequence[CalibrationText], pad_token_id: int
) -> Iterator[tuple[str, Moments]]:
    """Run the texts one by one, unpadded, and sum up what the tensors hold.

    Args:
        model: float32 graph.
        weights: folder of its large weights; a graph with more outputs is written there for the time being.
        channels: tensors to look at, and the width of each.
        calibration: what to run it on.
        pad_token_id: id that fills rows.
    """
    path = weights / "observed.onnx"
    for tensors in _groups(channels):
        observed = onnx.ModelProto()
        observed.CopyFrom(model)
        del observed.graph.output[:]
        observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
        path.write_bytes(observed.SerializeToString())
        session = frugal_session(path)
        moments = {name: Moments(channels[name]) for name in tensors}
        for chosen in _at_once(calibration):
            answers = [session.run(tensors, text.feed(pad_token_id)) for text in chosen]
            for name, found in zip(tensors, zip(*answers, strict=True), strict=True):
                moments[name].add(np.concatenate([tensor.reshape(-1, tensor.shape[-1]) for tensor in found]))
        del session
        path.unlink()
        for name in tensors:
            yield name, moments.pop(name)


def frugal_session(path: Path) -> Any:
    """A session on the CPU that reads a graph's weights where they lie, without a copy in another layout."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _at_once(calibration: Sequence[CalibrationText]) -> Iterator[list[CalibrationText]]:
    chosen: list[CalibrationText] = []
    for text in calibration:
        if chosen and sum(len(other.ids) for other in chosen) + len(text.ids) > AT_ONCE:
            yield chosen
            chosen = []
        chosen.append(text)
    if chosen:
        yield chosen


def _groups(channels: dict[str, int]) -> Iterator[list[str]]:
    group: list[str] = []
    held = 0
    for name, width in channels.items():
        if group and held + 4 * width * width > MOST_MOMENT_BYTES:
            yield group
            group, held = [], 0
        group.append(name)
        held += 4 * width * width
    if group:
        yield group
