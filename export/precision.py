"""The same graph in another number format: float16 for GPUs, int8 for CPUs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from export.int8 import quantize
from repository.manifest import OUTPUT, Precision


def write_precision(
    optimized: Any,
    precision: Precision,
    path: Path,
    scratch: Path,
    calibration: Sequence[Sequence[int]],
    pad_token_id: int,
) -> None:
    """Write the optimized float32 graph to `path` in the precision asked for; the logits stay FP32.

    Args:
        optimized: ONNX Runtime's `OnnxModel`, changed in place for float16.
        precision: number format of the weights.
        path: file to write.
        scratch: folder for intermediate files.
        calibration: token ids of the sentences that int8 sets its scales by.
        pad_token_id: id that fills rows.

    Raises:
        ExportError: the graph cannot be put into int8.
    """
    if precision is Precision.FP16:
        # Keeping the output's type puts one Cast before the logits.
        optimized.convert_float_to_float16(keep_io_types=[OUTPUT])
    if precision is not Precision.INT8:
        optimized.save_model_to_file(str(path))
        return
    full = scratch / "float32.onnx"
    optimized.save_model_to_file(str(full))
    quantize(full, path, calibration, pad_token_id)


def cuda_serves() -> bool:
    """Whether ONNX Runtime has a CUDA provider here and a card answers to it."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    # The provider is listed wherever onnxruntime-gpu is installed; only a session tells whether it works.
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    tensors = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "probe", tensors[:1], tensors[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CUDAExecutionProvider"])
    return "CUDAExecutionProvider" in session.get_providers()
