"""Which nodes give a product in int8? Those on fixed scales, or those that put each token on a scale of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

from export.graph.floor import used_names
from export.graph.weights import is_stored, pieces
from export.precision.int8.calibration import UINT8_MAX
from export.precision.int8.inputs import FixedScale
from export.precision.int8.weights import Int8Array
from repository.inference import Float32Array

MICROSOFT = "com.microsoft"
# How far below zero these activations reach, whatever comes in.
LOWEST = {"Gelu": 0.1701, "BiasGelu": 0.1701, "FastGelu": 0.1701, "Relu": 0.0}
# The step of a token that is all zeros.
LEAST_STEP = 1e-12


@dataclass(frozen=True)
class Product:
    """A node that multiplies tokens by fixed weights `[inputs, outputs]`."""

    node: Any
    inputs: int
    outputs: int

    @property
    def data(self) -> str:
        """Name of the tensor with the tokens."""
        return str(self.node.input[0])

    @property
    def output(self) -> str:
        """Name of the tensor that it gives."""
        return str(self.node.output[0])

    @property
    def work(self) -> int:
        """Multiplications for each token."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Rounded:
    """A product in int8.

    Attributes:
        weights: `[columns, outputs]`.
        scales: of each output, `[outputs]`.
        bias: what the rounding takes away from the mean of each output, and what centring does, `[outputs]`.
        scale: how the tokens become bytes: on fixed scales, or on each token's own around this zero point.
    """

    weights: Int8Array
    scales: Float32Array
    bias: Float32Array
    scale: FixedScale | np.uint8


def constant_array(tensor: Any, folder: Path) -> npt.NDArray[Any]:
    """The values of an initializer, which may lie in a file of `folder`."""
    if not is_stored(tensor):
        return np.asarray(numpy_helper.to_array(tensor))
    content = b"".join(pieces(tensor, folder))
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.frombuffer(content, kind).reshape(tuple(tensor.dims))


class NodeWriter:
    """Nodes and constants to come; a tensor that several products read is quantized once."""

    def __init__(self, model: Any, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.known = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {name: node for node in model.graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = {}
        for node in model.graph.node:
            for name in set(node.input):
                self.consumers.setdefault(name, []).append(node)
        self.bytes: dict[str, list[str]] = {}
        self.steps: dict[str, tuple[str, str]] = {}

    def multiply(self, product: Product, rounded: Rounded, output: str, fold_bias: bool) -> None:
        """Add the nodes that give `output`, the product in int8."""
        if isinstance(rounded.scale, FixedScale):
            self._multiply_fixed(product, rounded, rounded.scale, output, fold_bias)
        else:
            self._multiply_rows(product, rounded, rounded.scale, output, fold_bias)

    def finish(self) -> None:
        """Put the nodes into the graph, and the constants that they use."""
        graph = self.model.graph
        nodes = list(self.nodes)
        del graph.node[:]
        graph.node.extend(nodes)
        _drop_unused(graph)
        used = used_names(graph)
        kept = [tensor for tensor in (*graph.initializer, *self.initializers.values()) if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        if MICROSOFT not in {entry.domain for entry in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Name of a constant of the graph."""
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
        return name

    def add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        """Append a node; the name of its output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def _multiply_fixed(
        self, product: Product, rounded: Rounded, fixed: FixedScale, output: str, fold_bias: bool
    ) -> None:
        tokens, scale, zero_point = self._fixed_bytes(product.data, fixed)
        weights = self.constant(f"{product.output}/weights", rounded.weights)
        weight_scale = self.constant(f"{product.output}/weight_scale", rounded.scales)
        if product.node.op_type == "Attention":
            known = constant_array(self.known[product.node.input[2]], self.folder)
            bias = self.constant(f"{product.output}/bias", known + rounded.bias)
            mask = product.node.input[3] if len(product.node.input) > 3 else ""
            zeros = self.constant(f"{product.output}/weight_zero_point", np.zeros(product.outputs, dtype=np.int8))
            values = [tokens, weights, bias, scale, weight_scale, mask, zero_point, zeros]
            self.add("QAttention", values, output, MICROSOFT, **_attributes(product.node))
            return
        bias_values = rounded.bias
        if fold_bias and (consumer := self._consumer_with_bias(product)) is not None and consumer.op_type == "BiasGelu":
            bias_values = bias_values + constant_array(self.known[consumer.input[1]], self.folder)
            consumer.op_type = "Gelu"
            del consumer.input[1]
        bias = self.constant(f"{product.output}/bias", bias_values)
        values = [tokens, weights, scale, weight_scale, zero_point, "", bias]
        self.add("MatMulIntegerToFloat", values, output, MICROSOFT)

    def _fixed_bytes(self, data: str, fixed: FixedScale) -> list[str]:
        if data not in self.bytes:
            scale = self.constant(f"{data}/scale", np.asarray(fixed.scale))
            zero_point = self.constant(f"{data}/zero_point", np.asarray(fixed.zero_point))
            result = self.add("QuantizeLinear", [self._centred(data, fixed), scale, zero_point], f"{data}/uint8")
            self.bytes[data] = [result, scale, zero_point]
        return self.bytes[data]

    def _centred(self, data: str, fixed: FixedScale) -> str:
        """The tensor with its channels centred and divided: by the LayerNorm that gives it, if one does."""
        factor, centre = 1 / fixed.divisor.astype(np.float64), fixed.centre
        producer = self.producers.get(data)
        constants = list(producer.input[1:]) if producer is not None else []
        if producer is None or producer.op_type != "LayerNormalization" or not set(constants) <= set(self.known):
            shifted = self.add("Sub", [data, self.constant(f"{data}/centre", centre)], f"{data}/shifted")
            return self.add(
                "Mul", [shifted, self.constant(f"{data}/factor", factor.astype(np.float32))], f"{data}/centred"
            )
        gain, *shifts = (constant_array(self.known[name], self.folder).astype(np.float64) for name in constants)
        shift = (shifts[0] if shifts else 0) - centre
        inputs = [
            producer.input[0],
            self.constant(f"{data}/gain", (gain * factor).astype(np.float32)),
            self.constant(f"{data}/shift", (shift * factor).astype(np.float32)),
        ]
        return self.add("LayerNormalization", inputs, f"{data}/centred", **_attributes(producer))

    def _multiply_rows(
        self, product: Product, rounded: Rounded, zero_point: np.uint8, output: str, fold_bias: bool
    ) -> None:
        data, name = product.data, product.output
        tokens, one, zero = self._row_bytes(product, zero_point)
        step, leading = self.steps[data]
        weights = self.constant(f"{name}/weights", rounded.weights)
        weight_scale = self.constant(f"{name}/weight_scale", rounded.scales)
        values = [tokens, weights, one, weight_scale, zero]
        steps = self.add("MatMulIntegerToFloat", values, f"{name}/steps", MICROSOFT)
        rows = self.add("Mul", [steps, step], f"{name}/rows")
        width = self.constant(f"{name}/width", np.asarray([product.outputs]))
        shape = self.add("Concat", [leading, width], f"{name}/shape", axis=0)
        consumer = self._consumer_with_bias(product) if fold_bias else None
        if consumer is None:
            rows = self.add("Add", [rows, self.constant(f"{name}/bias", rounded.bias)], f"{name}/biased")
        else:
            place = next(place for place, name in enumerate(consumer.input) if self._is_bias(name, product))
            known = constant_array(self.known[consumer.input[place]], self.folder)
            consumer.input[place] = self.constant(f"{name}/bias", known + rounded.bias)
        self.add("Reshape", [rows, shape], output)

    def _row_bytes(self, product: Product, zero_point: np.uint8) -> list[str]:
        """Bytes `[tokens, channels]`, each token on a step of its own: the least with which its range fits."""
        data = product.data
        if data not in self.bytes:
            one = self.constant(f"{data}/one", np.asarray(np.float32(1)))
            zero = self.constant(f"{data}/zero_point", np.asarray(zero_point))
            width = self.constant(f"{data}/width", np.asarray([-1, product.inputs]))
            rows = self.add("Reshape", [data, width], f"{data}/rows")
            step = self._row_step(data, rows, int(zero_point))
            zeros = self.add("Expand", [zero, self.add("Shape", [step], f"{data}/tokens")], f"{data}/zero_points")
            result = self.add("QuantizeLinear", [rows, step, zeros], f"{data}/uint8", axis=0)
            axis = self.constant(f"{data}/axis", np.asarray([1]))
            column = self.add("Unsqueeze", [step, axis], f"{data}/step_column")
            leading = self.add("Shape", [data], f"{data}/leading", end=-1)
            self.bytes[data], self.steps[data] = [result, one, zero], (column, leading)
        return self.bytes[data]

    def _row_step(self, data: str, rows: str, zero_point: int) -> str:
        highest = self.add("ReduceMax", [rows], f"{data}/highest", axes=[-1], keepdims=0)
        upward = self.constant(f"{data}/upward", np.asarray(np.float32(1 / (UINT8_MAX - zero_point))))
        steps = [self.add("Mul", [highest, upward], f"{data}/step_upward")]
        producer = self.producers.get(data)
        if producer is not None and producer.op_type in LOWEST:
            least = max(LOWEST[producer.op_type] / zero_point, LEAST_STEP)
        else:
            least = LEAST_STEP
            lowest = self.add("ReduceMin", [rows], f"{data}/lowest", axes=[-1], keepdims=0)
            downward = self.constant(f"{data}/downward", np.asarray(np.float32(-1 / zero_point)))
            steps.append(self.add("Mul", [lowest, downward], f"{data}/step_downward"))
        steps.append(self.constant(f"{data}/least_step", np.asarray(np.float32(least))))
        return self.add("Max", steps, f"{data}/step")

    def _consumer_with_bias(self, product: Product) -> Any:
        """The only node that reads the product, if it adds a constant to each output; or None."""
        consumers = self.consumers.get(product.output, [])
        outputs = {tensor.name for tensor in self.model.graph.output}
        if len(consumers) != 1 or product.output in outputs or consumers[0].op_type not in ("Add", "Sum", "BiasGelu"):
            return None
        return consumers[0] if any(self._is_bias(name, product) for name in consumers[0].input) else None

    def _is_bias(self, name: str, product: Product) -> bool:
        return name in self.known and list(self.known[name].dims) == [product.outputs]


def _attributes(node: Any) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _drop_unused(graph: Any) -> None:
    """Remove nodes whose outputs nobody reads any more."""
    while True:
        used = used_names(graph)
        kept = [node for node in graph.node if used & set(node.output)]
        if len(kept) == len(graph.node):
            return
        del graph.node[:]
        graph.node.extend(kept)
