"""The same graph in another number format: float16 for GPUs, int8 for CPUs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.float16 import convert_to_float16
from export.ranges import Feed
from export.weights import EMBEDDED_LIMIT_BYTES, read_skeleton, write_model
from repository.manifest import Precision


def write_precision(
    optimized: Any,
    precision: Precision,
    path: Path,
    scratch: Path,
    feeds: Sequence[Feed],
    embedded_limit_bytes: int = EMBEDDED_LIMIT_BYTES,
) -> None:
    """Write the optimized float32 graph to `path` in the precision asked for; the logits stay FP32.

    Args:
        optimized: ONNX Runtime's `OnnxModel`, changed in place for float16.
        precision: number format of the weights.
        path: file to write.
        scratch: folder in which the graph's large weights lie, and for intermediate files.
        feeds: inputs to measure on what float16 can hold.
        embedded_limit_bytes: size from which the weights are written to a file beside `path`.
    """
    optimized.topological_sort()
    if precision is Precision.FP16:
        convert_to_float16(optimized, scratch, feeds)
        optimized.topological_sort()
    if precision is not Precision.INT8:
        write_model(optimized.model, path, scratch, embedded_limit_bytes)
        return
    full = scratch / "float32.onnx"
    quantized = scratch / "int8.onnx"
    write_model(optimized.model, full, scratch)
    # The quantizer logs advice for other kinds of models on the root logger.
    logging.getLogger().addFilter(_no_quantizer_advice)
    try:
        quantize_dynamic(
            full,
            quantized,
            op_types_to_quantize=["Attention", "MatMul", "Gemm"],
            per_channel=True,
            # Seven-bit weights: on processors without VNNI, products of eight-bit ones saturate in 16 bits.
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
            # Fused operators carry no type information; everything that reaches a product is float32.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().removeFilter(_no_quantizer_advice)
    write_model(read_skeleton(quantized), path, scratch, embedded_limit_bytes)


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


def _no_quantizer_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
