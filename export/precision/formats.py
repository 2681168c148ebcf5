"""The same graph in another number format: float16 for GPUs, int8 for CPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from export import Step
from export.graph.block_tables import store_in_blocks
from export.graph.cpu_kernels import split_embedding_layer_norms, split_skip_layer_norms
from export.graph.first_token import pick_first_token_early
from export.graph.session import CUDA
from export.graph.weights import EMBEDDED_LIMIT_BYTES, write_model
from export.precision.float16 import convert_to_float16
from export.precision.int8.calibration import CalibrationText
from export.precision.int8.halves import store_as_halves
from export.precision.int8.quantize import quantize
from export.precision.ranges import Feed
from repository.manifest import Precision
from repository.tolerances import Provider


@dataclass(frozen=True)
class Calibration:
    """What a graph is run on to find out how far its values reach.

    Attributes:
        texts: what int8 sets its scales by.
        feeds: inputs to measure on what float16 can hold.
        pad_token_id: id that fills rows.
    """

    texts: Sequence[CalibrationText]
    feeds: Sequence[Feed]
    pad_token_id: int


def write_precision(
    optimized: Any,
    precision: Precision,
    path: Path,
    scratch: Path,
    calibration: Calibration,
    step: Step,
    embedded_limit_bytes: int = EMBEDDED_LIMIT_BYTES,
) -> None:
    """Write the optimized float32 graph to `path` in the precision asked for; the logits stay FP32.

    Args:
        optimized: ONNX Runtime's `OnnxModel`, changed in place.
        precision: number format of the weights.
        path: file to write.
        scratch: folder in which the graph's large weights lie, and for intermediate files.
        calibration: what the graph is run on.
        step: opens a progress bar.
        embedded_limit_bytes: size from which the weights are written to a file beside `path`.

    Raises:
        ExportError: the graph cannot be put into int8.
    """
    optimized.topological_sort()
    if precision is Precision.FP16:
        convert_to_float16(optimized, scratch, calibration.feeds)
        optimized.topological_sort()
    else:
        split_skip_layer_norms(optimized.model)
        pick_first_token_early(optimized.model)
    if precision is Precision.INT8:
        split_embedding_layer_norms(optimized.model)
        quantize(optimized.model, scratch, calibration.texts, calibration.pad_token_id, step)
    if precision is not Precision.FP16:
        store_in_blocks(optimized.model, scratch, rounded=precision is Precision.INT8)
    if precision is Precision.INT8:
        store_as_halves(optimized.model, scratch)
    write_model(optimized.model, path, scratch, embedded_limit_bytes)


def provider_here() -> Provider:
    """What sessions of this machine compute on."""
    return Provider.CUDA if cuda_serves() else Provider.CPU


def cuda_serves() -> bool:
    """Whether ONNX Runtime has a CUDA provider here and a card answers to it."""
    if CUDA not in onnxruntime.get_available_providers():
        return False
    # The provider is listed wherever onnxruntime-gpu is installed; only a session tells whether it works.
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    tensors = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "probe", tensors[:1], tensors[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CUDA])
    return CUDA in session.get_providers()
