"""How much there is to compute: floating-point operations a sentence, and what this processor can do at best."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

PRODUCTS = {"MatMul", "Gemm", "Attention", "MatMulInteger", "QAttention", "MatMulIntegerToFloat", "MatMulNBits"}
SIDE = 1536
REPEATS = 12


@dataclass(frozen=True)
class GraphSize:
    """What decides how much a graph has to compute."""

    weights: int
    """Weights that every token is multiplied with."""
    attention_channels: int
    """Channels of all attention layers together."""

    def operations(self, tokens: int) -> float:
        """Floating-point operations for a sentence of so many tokens.

        Two for each weight and token; in attention four for each pair of tokens and channel: two for the scores, two
        for their product with the values. As in Kaplan et al., Scaling Laws for Neural Language Models (2020), table 1,
        with the weights counted from the graph.
        """
        return 2.0 * self.weights * tokens + 4.0 * self.attention_channels * tokens**2


def graph_size(graph_file: Path) -> GraphSize:
    """Count the matrices that products of the graph take as they are stored, and the channels of fused attention."""
    graph = onnx.load(graph_file, load_external_data=False).graph
    matrices = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer if len(tensor.dims) == 2}
    used = {name for node in graph.node if node.op_type in PRODUCTS for name in node.input if name in matrices}
    joined = [matrices[node.input[1]][1] for node in graph.node if node.op_type == "Attention"]
    return GraphSize(sum(math.prod(matrices[name]) for name in used), sum(width // 3 for width in joined))


def peak_operations_per_second(threads: int) -> float:
    """What ONNX Runtime reaches here in one large float32 product, the fastest of several runs."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in ("a", "b", "c")]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    fastest = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        session.run(None, {"a": values, "b": values})
        fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * SIDE**3 / fastest
