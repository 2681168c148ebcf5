"""The float32 graph with its products in int8, on scales that are fixed at export: no sentence changes another's score.

Inputs of a product are asymmetric uint8. One scale for a tensor would be set by its few outlying channels (up to 15
times the median one after LayerNorm and GELU), so these are divided down first, and their weights multiplied up. An
outlying channel whose weights would then spoil its column's scale is repeated, with a share of the weight each time.

Float32 stay: products that have fewer outputs than inputs (on MiniLM-L6 with them, 98.8 % of labels agree instead of
99.2 %); pooler and head, one row for each sentence, which cost next to nothing; products between tokens.

Operators: standard ones, and MatMulIntegerToFloat and QAttention of `com.microsoft`, all known to ONNX Runtime 1.19.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export import ExportError
from export.int8_weights import round_weights
from repository.inference import Float32Array, pad_batch

MICROSOFT = "com.microsoft"
# Attributes of Attention that QAttention has too; with any other one, the node stays float32.
QATTENTION_ATTRIBUTES = {"num_heads", "unidirectional", "mask_filter_value"}
# A channel that reaches past so many times the median one is divided down to that.
OUTLYING = 2.0
# A channel is repeated at most so often; past that, the scales of its columns give way.
MOST_REPEATS = 16
# Sentences whose tokens are summed up in one go.
AT_ONCE = 64


@dataclass(frozen=True)
class Product:
    """A node that multiplies tokens by fixed weights `[inputs, outputs]`."""

    node: Any
    weights: Float32Array

    @property
    def data(self) -> str:
        """Name of the tensor with the tokens."""
        return str(self.node.input[0])


class Moments:
    """What is known of one tensor `[..., channels]` from the calibration sentences, over its tokens."""

    def __init__(self, channels: int) -> None:
        self.tokens = 0
        self.low = np.full(channels, np.inf, dtype=np.float32)
        self.high = np.full(channels, -np.inf, dtype=np.float32)
        self.total = np.zeros(channels)
        self.second = np.zeros((channels, channels))

    def add(self, rows: Float32Array) -> None:
        """Take in rows `[tokens, channels]`."""
        self.tokens += len(rows)
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        self.total += rows.sum(axis=0, dtype=np.float64)
        self.second += rows.T @ rows


@dataclass(frozen=True)
class Inputs:
    """How one tensor becomes uint8: divisor of each channel, which channels are repeated, one scale and zero point."""

    divisor: Float32Array
    columns: npt.NDArray[np.int64]
    scale: np.float32
    zero_point: np.uint8


def quantize(full: Path, path: Path, calibration: Sequence[Sequence[int]], pad_token_id: int) -> None:
    """Write the float32 graph `full` to `path` with int8 products.

    Args:
        full: optimized float32 graph with inputs `input_ids` and `attention_mask`.
        path: file to write; the same bytes for the same graph and calibration.
        calibration: token ids of real sentences that the graph is not measured on.
        pad_token_id: id that fills rows.

    Raises:
        ExportError: there is no sentence to calibrate on, or nothing in the graph that int8 speeds up.
    """
    if not calibration:
        raise ExportError("int8 needs sentences to set its scales by: give --data a file with more of them")
    model = onnx.load(full)
    products = list(_products(model.graph))
    if not products:
        raise ExportError("the graph has no product with fixed weights to put into int8: use --precision fp32")
    moments = _observe(model, sorted({product.data for product in products}), calibration, pad_token_id)
    _Rewriter(model, moments).rewrite(products)
    onnx.save_model(model, path)


def _products(graph: Any) -> Iterator[Product]:
    weights = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    for node in graph.node:
        if node.op_type not in ("MatMul", "Attention") or node.input[1] not in weights or node.input[0] in weights:
            continue
        inputs, outputs = weights[node.input[1]].dims
        if inputs > outputs:
            continue
        if node.op_type == "Attention":
            attributes = {attribute.name for attribute in node.attribute}
            if attributes - QATTENTION_ATTRIBUTES or any(node.input[4:]) or not all(node.input[:3]):
                continue
        yield Product(node, numpy_helper.to_array(weights[node.input[1]]).astype(np.float32))


def _observe(
    model: Any, tensors: list[str], calibration: Sequence[Sequence[int]], pad_token_id: int
) -> dict[str, Moments]:
    """Run the sentences one by one, unpadded, and sum up what the tensors hold."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    session = onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    moments: dict[str, Moments] = {}
    for start in range(0, len(calibration), AT_ONCE):
        answers = [
            session.run(tensors, pad_batch([ids], pad_token_id, len(ids)))
            for ids in calibration[start : start + AT_ONCE]
        ]
        for name, found in zip(tensors, zip(*answers, strict=True), strict=True):
            rows = np.concatenate([tensor.reshape(-1, tensor.shape[-1]) for tensor in found])
            moments.setdefault(name, Moments(rows.shape[1])).add(rows)
    return moments


def _inputs(moments: Moments, products: Sequence[Product]) -> Inputs:
    """Choose the scales of one tensor for all the products that read it."""
    reach = np.maximum(np.abs(moments.low), np.abs(moments.high))
    usual = OUTLYING * np.median(reach[reach > 0]) if (reach > 0).any() else np.float32(1)
    divisor = np.maximum(reach / usual, 1).astype(np.float32)
    repeats = np.ones(len(reach), dtype=np.int64)
    for product in products:
        largest = np.maximum(np.abs(product.weights[divisor == 1]).max(axis=0, initial=0), 1e-12)
        needed = np.ceil((np.abs(product.weights) * divisor[:, None] / largest).max(axis=1)).astype(np.int64)
        repeats = np.maximum(repeats, np.where(divisor > 1, needed, 1))
    columns = np.arange(len(reach))
    extra = np.repeat(columns, np.clip(repeats, 1, MOST_REPEATS) - 1)
    low = min(float((moments.low / divisor).min()), 0.0)
    high = max(float((moments.high / divisor).max()), 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    return Inputs(divisor, np.concatenate([columns, extra]), scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255)))


class _Rewriter:
    """Puts int8 nodes in the place of a graph's products; a tensor that several of them read is quantized once."""

    def __init__(self, model: Any, moments: dict[str, Moments]) -> None:
        self.model = model
        self.moments = moments
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.quantized: dict[str, tuple[Inputs, list[str]]] = {}

    def rewrite(self, products: Sequence[Product]) -> None:
        graph = self.model.graph
        by_output = {product.node.output[0]: product for product in products}
        for node in graph.node:
            product = by_output.get(node.output[0])
            if product is None:
                self.nodes.append(node)
                continue
            if product.data not in self.quantized:
                self._quantize(product.data, [other for other in products if other.data == product.data])
            self._multiply(product)
        nodes = list(self.nodes)
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in (*graph.initializer, *self.initializers.values()) if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        if MICROSOFT not in {entry.domain for entry in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))

    def _quantize(self, data: str, products: Sequence[Product]) -> None:
        inputs = _inputs(self.moments[data], products)
        source = data
        if (inputs.divisor != 1).any():
            source = f"{data}/divided"
            self._add("Mul", [data, self._constant(f"{data}/factor", 1 / inputs.divisor)], source)
        scale = self._constant(f"{data}/scale", np.asarray(inputs.scale))
        zero_point = self._constant(f"{data}/zero_point", np.asarray(inputs.zero_point))
        result = f"{data}/uint8"
        self._add("QuantizeLinear", [source, scale, zero_point], result)
        if len(extra := inputs.columns[len(inputs.divisor) :]):
            self._add("Gather", [result, self._constant(f"{data}/repeated", extra)], f"{result}/repeats", axis=-1)
            self._add("Concat", [result, f"{result}/repeats"], f"{result}/all", axis=-1)
            result = f"{result}/all"
        self.quantized[data] = inputs, [result, scale, zero_point]

    def _multiply(self, product: Product) -> None:
        node, moments = product.node, self.moments[product.data]
        inputs, (tokens, scale, zero_point) = self.quantized[product.data]
        columns, output = inputs.columns, node.output[0]
        share = (inputs.divisor / np.bincount(columns))[columns]
        spread = product.weights[columns] * share[:, None]
        divided = (1 / inputs.divisor.astype(np.float64))[columns]
        second = moments.second[np.ix_(columns, columns)] / moments.tokens * np.outer(divided, divided)
        rounded, scales = round_weights(spread.astype(np.float32), second)
        mean = moments.total[columns] / moments.tokens * divided
        bias = mean @ (spread - rounded * scales)
        weights = self._constant(f"{output}/weights", rounded)
        weight_scale = self._constant(f"{output}/weight_scale", scales)
        weight_zero = self._constant(f"{output}/weight_zero_point", np.zeros(len(scales), dtype=np.int8))
        if node.op_type == "MatMul":
            bias_name = self._constant(f"{output}/bias", bias.astype(np.float32))
            values = [tokens, weights, scale, weight_scale, zero_point, weight_zero, bias_name]
            self._add("MatMulIntegerToFloat", values, output, MICROSOFT)
            return
        known = next(tensor for tensor in self.model.graph.initializer if tensor.name == node.input[2])
        bias_name = self._constant(f"{output}/bias", (numpy_helper.to_array(known) + bias).astype(np.float32))
        mask = node.input[3] if len(node.input) > 3 else ""
        values = [tokens, weights, bias_name, scale, weight_scale, mask, zero_point, weight_zero]
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        self._add("QAttention", values, output, MICROSOFT, **attributes)

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> None:
        node = helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes)
        self.nodes.append(node)
