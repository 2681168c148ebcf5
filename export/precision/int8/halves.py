"""What stays float32 in an int8 graph lies in its file as FLOAT16: half the bytes, and nothing more to do in a call.

A number keeps eleven binary digits, where int8 leaves seven. ONNX Runtime folds the casts when it loads the graph, so
that a call finds float32 weights as before.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph.weights import LARGE_BYTES, content_bytes, is_stored
from export.precision.int8.nodes import constant_array


def store_as_halves(model: Any, folder: Path) -> None:
    """Declare a graph's large float32 weights FLOAT16, in place, each with a node that casts it back.

    Args:
        model: ONNX `ModelProto`.
        folder: where its large weights lie. Those are converted when the graph is written, see `write_model`.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or content_bytes(tensor) < LARGE_BYTES or not _fits(tensor, folder):
            continue
        name = tensor.name
        if is_stored(tensor):
            tensor.data_type = TensorProto.FLOAT16
        else:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16)))
        tensor.name = f"{name}/halves"
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}/cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _fits(tensor: onnx.TensorProto, folder: Path) -> bool:
    """Whether FLOAT16, which ends at 65504, holds each value; the smallest are off by 0.00000003 at most."""
    values = constant_array(tensor, folder)
    return bool(np.abs(values).max() <= np.finfo(np.float16).max)
