"""The same graph in another number format: float16 for GPUs, int8 for CPUs."""

import logging
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from repository.manifest import OUTPUT, Precision


def write_precision(optimized: Any, precision: Precision, path: Path, scratch: Path) -> None:
    """Write the optimized float32 graph to `path` in the precision asked for; the logits stay FP32.

    Args:
        optimized: ONNX Runtime's `OnnxModel`, changed in place for float16.
        precision: number format of the weights.
        path: file to write.
        scratch: folder for intermediate files.
    """
    if precision is Precision.FP16:
        # Keeping the output's type puts one Cast before the logits.
        optimized.convert_float_to_float16(keep_io_types=[OUTPUT])
    if precision is not Precision.INT8:
        optimized.save_model_to_file(str(path))
        return
    full = scratch / "float32.onnx"
    optimized.save_model_to_file(str(full))
    # The quantizer logs advice for other kinds of models on the root logger.
    logging.getLogger().addFilter(_no_quantizer_advice)
    try:
        quantize_dynamic(
            full,
            path,
            op_types_to_quantize=["Attention", "MatMul", "Gemm"],
            per_channel=True,
            # Seven-bit weights: on processors without VNNI, products of eight-bit ones saturate in 16 bits.
            reduce_range=True,
            weight_type=QuantType.QInt8,
            # Fused operators carry no type information; everything that reaches a product is float32.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().removeFilter(_no_quantizer_advice)


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
