"""The float32 graph with its products in int8, so that no sentence changes another's score.

What follows LayerNorm, or goes into attention, is quantized on scales fixed at export; everything else, such as GELU's
output, on a scale of each token's own, which depends on that token alone. Dynamic quantization as ONNX Runtime
does it takes one scale for the whole batch.

Products to which int8 does most harm stay float32, see `export.precision.int8.choice`. Float32 stay as well: pooler and
head, one row for each sentence, which cost next to nothing; products between tokens.

Operators: standard ones, and MatMulIntegerToFloat and QAttention of `com.microsoft`, all known to ONNX Runtime 1.19.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export import ExportError, Step
from export.graph.first_token import FIRST_TOKEN
from export.precision.int8.calibration import CalibrationText, Moments, observe
from export.precision.int8.choice import products_to_keep
from export.precision.int8.graph import Int8Graph
from export.precision.int8.inputs import FixedScale, fixed_scale, row_zero_point
from export.precision.int8.nodes import Product, Rounded, constant_array
from export.precision.int8.weights import round_weights

# Attributes of Attention that QAttention has too; with any other one, the node stays float32.
QATTENTION_ATTRIBUTES = {"num_heads", "unidirectional", "mask_filter_value"}


def quantize(
    model: Any, weights: Path, calibration: Sequence[CalibrationText], pad_token_id: int, step: Step
) -> list[str]:
    """Put the products of a float32 graph into int8, in place.

    Args:
        model: optimized float32 graph with inputs `input_ids` and `attention_mask`.
        weights: folder of its large weights; graphs are written there for the time being.
        calibration: real texts that the graph is not measured on.
        pad_token_id: id that fills rows.
        step: opens a progress bar.

    Returns:
        Names of the outputs whose products stay float32; the same for the same graph and calibration.

    Raises:
        ExportError: there is no sentence to calibrate on, or nothing in the graph that int8 speeds up.
    """
    if not calibration:
        raise ExportError("int8 needs sentences to set its scales by: give --data a file with more of them")
    products = list(products_of(model.graph))
    if not products:
        raise ExportError("the graph has no product with fixed weights to put into int8: use --precision fp32")
    readers: dict[str, list[Product]] = {}
    for product in products:
        readers.setdefault(product.data, []).append(product)
    channels = {data: found[0].inputs for data, found in readers.items()}
    fixed = _fixed(model.graph, readers)
    rounded: dict[str, Rounded] = {}
    with step("Rounding to int8", len(products)) as advance:
        for data, moments in observe(model, weights, channels, calibration, pad_token_id):
            rounded.update(round_products(model.graph, weights, readers[data], moments, data in fixed))
            advance(len(readers[data]))
    graph = Int8Graph(model, weights, products, rounded)
    with step("Weighing int8, product by product", len(products)) as advance:
        kept = products_to_keep(graph, weights, calibration, pad_token_id, advance)
    graph.rewrite(kept)
    return kept


def products_of(graph: Any) -> Iterator[Product]:
    """The nodes that multiply tokens by fixed float32 weights and have a form in int8."""
    weights = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    for node in graph.node:
        if node.op_type not in ("MatMul", "Attention") or node.input[1] not in weights or node.input[0] in weights:
            continue
        if node.input[0].endswith(FIRST_TOKEN):
            continue
        if node.op_type == "Attention":
            attributes = {attribute.name for attribute in node.attribute}
            if attributes - QATTENTION_ATTRIBUTES or any(node.input[4:]) or not all(node.input[:3]):
                continue
        tensor = weights[node.input[1]]
        if tensor.data_type == onnx.TensorProto.FLOAT:
            yield Product(node, *tensor.dims)


def _fixed(graph: Any, readers: dict[str, list[Product]]) -> set[str]:
    """Tensors that get one scale: LayerNorm can centre them at no cost, or QAttention takes no other."""
    normalized = {node.output[0] for node in graph.node if node.op_type == "LayerNormalization"}
    return {
        data
        for data, products in readers.items()
        if data in normalized or any(product.node.op_type == "Attention" for product in products)
    }


def round_products(
    graph: Any, folder: Path, products: Sequence[Product], moments: Moments, is_fixed: bool
) -> Iterator[tuple[str, Rounded]]:
    """Put the products that read one tensor into int8; their outputs' names tell which is which.

    Args:
        graph: float32 graph.
        folder: where its large weights lie.
        products: all that read the tensor.
        moments: of the tensor.
        is_fixed: whether the tensor gets one scale or each of its tokens its own.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    matrices = [constant_array(tensors[product.node.input[1]], folder) for product in products]
    scale = fixed_scale(moments, matrices) if is_fixed else row_zero_point(moments)
    for product, matrix in zip(products, matrices, strict=True):
        if isinstance(scale, FixedScale):
            spread, second, mean = scale.spread(matrix), scale.second_moments(moments), scale.mean(moments)
            offset = scale.centre.astype(np.float64) @ matrix
        else:
            spread, second = matrix, moments.second.astype(np.float64) / moments.tokens
            mean, offset = moments.total / moments.tokens, np.zeros(product.outputs)
        rounded, scales = round_weights(spread, second)
        bias = mean @ (spread - rounded * scales) + offset
        yield product.output, Rounded(rounded, scales, bias.astype(np.float32), scale)
