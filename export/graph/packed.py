"""Padding that costs next to nothing: outside of attention, the graph computes the real tokens alone.

From outside the graph stays as it is, `input_ids` and `attention_mask` `[batch, sequence]`. Inside, behind the
embedding, the rows of real tokens are taken out of `[batch, sequence, channels]` and laid one after the other,
`[tokens, channels]`. Every product with a weight, every LayerNorm and activation works on a row by itself, so that it
does not mind. Attention does: for it, and for whatever else reads a whole sentence (the head), rows are put back to
their places, with zeros where padding was. That is what RemovePadding and RestorePadding of ONNX Runtime do, which have
kernels for CUDA alone; Gather, Concat and CumSum run everywhere, so that a CPU can tell whether the graph is right.

Source of the idea: Effective Transformer, https://github.com/bytedance/effective_transformer
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from export import ExportError
from repository.manifest import INPUTS

MICROSOFT = "com.microsoft"
_MASK = INPUTS[1]
_PREFIX = "packed/"
# They compute every value, or every row, by itself.
_ACTIVATIONS = {
    "BiasGelu",
    "Cast",
    "Erf",
    "FastGelu",
    "Gelu",
    "Identity",
    "QuickGelu",
    "Relu",
    "Sigmoid",
    "Sqrt",
    "Tanh",
}
_ARITHMETIC = {"Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum"}
_NORMS = {"LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization"}
# Of SkipLayerNormalization: the result and the sum before it; the two between them are per row, not per channel.
_NORM_OUTPUTS = (0, 3)
_KNOWN_ATTRIBUTES = {"num_heads", "mask_filter_value", "scale", "unidirectional"}
# Inputs of the fused operator after its mask: earlier keys, a bias on scores, and others that no encoder here has.
_AFTER_MASK = 4


def pack(optimized: Any) -> None:
    """Rewrite a fused graph in place; its inputs and its logits stay what they are.

    Args:
        optimized: ONNX Runtime's `OnnxModel` in float32, as `optimize_graph` makes it.

    Raises:
        ExportError: its attention is not fused, or more than attention over a sentence by itself.
    """
    optimized.topological_sort()
    graph = optimized.model.graph
    first = next((node for node in graph.node if _is_attention(node)), None)
    if first is None:
        raise ExportError("no packed graph can be made of this model: its attention is not fused into one operator")
    packing = _Packing(graph, first)
    for node in list(graph.node):
        packing.take(node)
    del graph.node[:]
    graph.node.extend(packing.nodes)
    graph.initializer.extend(packing.constants)
    del graph.value_info[:]  # shapes of before
    opsets = {entry.domain for entry in optimized.model.opset_import}
    if MICROSOFT not in opsets:
        optimized.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def _is_attention(node: Any) -> bool:
    return bool(node.op_type == "Attention" and node.domain == MICROSOFT)


class _Packing:
    """Takes the nodes of a graph in order, and knows which tensors are rows of real tokens."""

    def __init__(self, graph: Any, first: Any) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        self._ranks = {name: len(dims) for name, dims in self._weights.items()}
        self._entry, self._width_of_entry = first.input[0], self._weight(first.input[1], "attention")[0]
        self._widths: dict[str, int] = {}
        """Channels of each tensor that is `[tokens, channels]`, by its name."""
        self._restored: dict[str, str] = {}
        self._zeros: dict[int, str] = {}
        self._write_places()

    def take(self, node: Any) -> None:
        """Write a node, on rows of real tokens where it can work on them."""
        if node.op_type == "Constant":
            self._ranks.update({node.output[0]: _rank_of_constant(node)})
        reads = [name for name in node.input if name in self._widths]
        if _is_attention(node) and node.input[0] in self._widths:
            self._write_attention(node)
        elif reads and self._works_on_rows(node):
            self._write_on_rows(node)
        else:
            node.input[:] = [self._whole(name) if name in self._widths else name for name in node.input]
            self.nodes.append(node)
        if self._entry in node.output:
            self._enter()

    def _write_places(self) -> None:
        """Which rows are real tokens, and where each token's row lies; the first of a sentence is always taken."""
        self._constant("one", np.array(1, np.int64))
        for name, value in (("begin", [0]), ("second", [1]), ("end", [np.iinfo(np.int64).max]), ("flat", [-1])):
            self._constant(name, np.array(value, np.int64))
        self._constant("axis", np.array(0, np.int64))
        self._node("Min", [_MASK, _PREFIX + "one"], "real")  # a mask may say 2 for the second text of a pair
        self._node("Cast", [_PREFIX + "real"], "mask", to=TensorProto.INT32)
        # A row of nothing but padding, as Triton's warm-up sends it, has a row as well: no product is of nothing.
        self._node("Slice", [_PREFIX + name for name in ("real", "begin", "second", "second")], "first")
        self._node("Slice", [_PREFIX + name for name in ("real", "second", "end", "second")], "others")
        self._node("Max", [_PREFIX + "first", _PREFIX + "one"], "first_taken")
        self._node("Concat", [_PREFIX + "first_taken", _PREFIX + "others"], "taken", axis=1)
        self._node("Reshape", [_PREFIX + "taken", _PREFIX + "flat"], "taken_flat")
        self._node("NonZero", [_PREFIX + "taken_flat"], "rows_2d")
        self._node("Reshape", [_PREFIX + "rows_2d", _PREFIX + "flat"], "rows")
        self._node("CumSum", [_PREFIX + "taken_flat", _PREFIX + "axis"], "counted")
        self._node("Mul", [_PREFIX + "counted", _PREFIX + "taken_flat"], "place_flat")
        self._node("Shape", [_MASK], "shape")
        self._node("Reshape", [_PREFIX + "place_flat", _PREFIX + "shape"], "places")

    def _enter(self) -> None:
        """Behind the embedding; whoever reads a whole sentence of it finds it as it was."""
        self._restored[self._entry] = f"{self._entry}/whole"
        for node in self.nodes[::-1]:
            if self._entry in node.output:
                node.output[:] = [f"{name}/whole" if name == self._entry else name for name in node.output]
                break
        self._rows_of(f"{self._entry}/whole", self._entry, self._width_of_entry)

    def _write_attention(self, node: Any) -> None:
        """Its products on rows of real tokens, what lies between them on sentences."""
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if set(attributes) - _KNOWN_ATTRIBUTES or attributes.pop("unidirectional", 0) or any(node.input[_AFTER_MASK:]):
            raise ExportError("no packed graph can be made of this model: its attention is more than an encoder's")
        tokens, weight, *rest = node.input
        width = self._weight(weight, "attention")[1]
        result, name = node.output[0], node.name or node.output[0]
        joined = f"{result}/joined"
        self._node("MatMul", [tokens, weight], f"{result}/product", named=True)
        bias = [rest[0]] if rest and rest[0] else []
        self._node("Add" if bias else "Identity", [f"{result}/product", *bias], joined, named=True)
        self._widths[joined] = width
        parts = [f"{result}/{part}" for part in ("query", "key", "value")]
        split = self._constant(f"thirds_{width}", np.full(3, width // 3, np.int64))
        self.nodes.append(helper.make_node("Split", [self._whole(joined), split], parts, axis=-1))
        padded = f"{result}/whole"
        inputs = [*parts, "", _PREFIX + "mask"]
        self.nodes.append(
            helper.make_node("MultiHeadAttention", inputs, [padded], name=name, domain=MICROSOFT, **attributes)
        )
        self._restored[result] = padded
        self._rows_of(padded, result, width // 3)

    def _works_on_rows(self, node: Any) -> bool:
        others = [name for name in node.input if name and name not in self._widths]
        if node.op_type == "MatMul":
            return node.input[0] in self._widths and len(self._weights.get(node.input[1], ())) == 2
        of_channels = all(self._ranks.get(name, 2) <= 1 for name in others)
        if node.op_type in _NORMS:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
            per_row = any(name for place, name in enumerate(node.output) if place not in _NORM_OUTPUTS)
            skipped = node.op_type != "SkipLayerNormalization" or node.input[1] in self._widths
            return of_channels and axis == -1 and not per_row and skipped and node.input[0] in self._widths
        return of_channels and node.op_type in _ACTIVATIONS | _ARITHMETIC

    def _write_on_rows(self, node: Any) -> None:
        width = next(self._widths[name] for name in node.input if name in self._widths)
        if node.op_type == "MatMul":
            width = self._weight(node.input[1], node.name)[1]
        self.nodes.append(node)
        self._widths.update({name: width for name in node.output if name})

    def _whole(self, rows: str) -> str:
        """The tensor as `[batch, sequence, channels]`, with zeros where padding was; made once."""
        if rows not in self._restored:
            zero = self._zeros.setdefault(self._widths[rows], self._zero_row(self._widths[rows]))
            self._node("Concat", [zero, rows], f"{rows}/with_zero", named=True, axis=0)
            self._node("Gather", [f"{rows}/with_zero", _PREFIX + "places"], f"{rows}/whole", named=True, axis=0)
            self._restored[rows] = f"{rows}/whole"
        return self._restored[rows]

    def _rows_of(self, whole: str, rows: str, width: int) -> None:
        shape = self._constant(f"channels_{width}", np.array([-1, width], np.int64))
        self._node("Reshape", [whole, shape], f"{rows}/all_rows", named=True)
        self._node("Gather", [f"{rows}/all_rows", _PREFIX + "rows"], rows, named=True, axis=0)
        self._widths[rows] = width

    def _zero_row(self, width: int) -> str:
        return self._constant(f"zero_{width}", np.zeros((1, width), np.float32))

    def _constant(self, name: str, value: Any) -> str:
        if all(tensor.name != _PREFIX + name for tensor in self.constants):
            self.constants.append(numpy_helper.from_array(value, _PREFIX + name))
        return _PREFIX + name

    def _node(self, kind: str, inputs: Sequence[str], output: str, named: bool = False, **attributes: Any) -> None:
        """Write a node with one output, of this module's own names unless it is `named`."""
        name = output if named else _PREFIX + output
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))

    def _weight(self, name: str, of: str) -> tuple[int, ...]:
        if len(dims := self._weights.get(name, ())) != 2:
            raise ExportError(f"no packed graph can be made of this model: a weight of {of} is no matrix")
        return dims


def _rank_of_constant(node: Any) -> int:
    return next((len(attribute.t.dims) for attribute in node.attribute if attribute.name == "value"), 0)
