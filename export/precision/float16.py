"""float16 for GPUs: measured on real sentences first, so that what leaves its range stays float32."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph.weights import is_stored, pieces
from export.precision.ranges import Feed, measure_ranges
from repository.manifest import OUTPUT

LARGEST = 65504.0
# Sentences that were not measured reach further than those that were; rounding is no worse near the limit.
HEADROOM = 4.0
# Below every score that stays float16, so that what is masked is zero after the softmax, and still finite when a score
# is added: a row of nothing but padding, as Triton's warm-up sends it, must not become NaN.
MASK = -30_000.0
# While the ranges are measured: within them, so that only what the mask is added to can leave them.
MEASURED_MASK = -10_000.0


def convert_to_float16(optimized: Any, weights: Path, feeds: Sequence[Feed]) -> list[str]:
    """Convert a fused float32 graph in place; the logits stay FLOAT.

    Args:
        optimized: ONNX Runtime's `OnnxModel`.
        weights: folder in which the graph's large weights lie.
        feeds: inputs to measure the operators on.

    Returns:
        Names of the nodes that stay float32: a weight of theirs is past float16's range, or one of their values
        past a quarter of it.
    """
    model = optimized.model
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_unnamed_{number}"
    bounded = onnx.ModelProto()
    bounded.CopyFrom(model)
    masks = bound_constants(bounded.graph, MEASURED_MASK)
    kept = nodes_out_of_range(bounded, measure_ranges(bounded, weights, feeds), weights)
    if kept and masks:
        # Scores may reach past the mask: leave it as it is, so that whatever it touches stays float32.
        kept = nodes_out_of_range(model, measure_ranges(model, weights, feeds), weights)
    else:
        bound_constants(model.graph, MASK)
    bound_fused_masks(node for node in model.graph.node if node.name not in kept)
    hidden = _hide_weights(model.graph)
    with contextlib.chdir(weights):
        optimized.convert_float_to_float16(keep_io_types=[OUTPUT], node_block_list=kept)
    _restore_weights(optimized.model.graph, hidden)
    return kept


def bound_constants(graph: Any, mask: float) -> int:
    """Replace constants that stand for minus infinity, lone or among zeros, by `mask`; returns how many there are."""
    found = 0
    for name, constant in _constants(graph):
        values = numpy_helper.to_array(constant)
        past = values < -LARGEST
        if past.any() and (past | (values == 0)).all():
            found += 1
            bounded = np.where(past, np.float32(mask), values).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(bounded, name))
    return found


def bound_fused_masks(nodes: Iterable[Any]) -> None:
    """Let fused attention add no less than MASK where the attention mask is 0."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name == "mask_filter_value" and attribute.f < MASK:
                attribute.f = MASK


def nodes_out_of_range(model: Any, reach: Mapping[str, float], weights: Path) -> list[str]:
    """Nodes with a value, inside or at either end, past float16's range less the headroom, or with a larger weight.

    Args:
        model: ONNX `ModelProto`.
        reach: largest magnitude by name of tensor, and by name of node for the values inside it.
        weights: folder in which the graph's large weights lie.
    """
    # Written so that a NaN is out of range.
    wild = {name for name, largest in reach.items() if not largest <= LARGEST / HEADROOM}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and not _largest_weight(tensor, weights) <= LARGEST:
            wild.add(tensor.name)
    return [node.name for node in model.graph.node if wild.intersection((node.name, *node.input, *node.output))]


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """Name and `TensorProto` of the FLOAT constants inside a graph."""
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and not is_stored(tensor):
            yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute if node.op_type in ("Constant", "ConstantOfShape") else ():
            if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                yield attribute.t.name, attribute.t


def _largest_weight(tensor: Any, weights: Path) -> float:
    largest: list[npt.NDArray[np.float32]] = [np.zeros(1, np.float32)]
    for piece in pieces(tensor, weights):
        values = np.frombuffer(piece, np.float32)
        largest.append(np.abs(values).max(keepdims=True) if values.size else values)
    return float(np.concatenate(largest).max())


def _hide_weights(graph: Any) -> list[Any]:
    """Turn weights that lie beside the graph into inputs: the converter reads the content of what it takes for one."""
    hidden = [tensor for tensor in graph.initializer if is_stored(tensor) and tensor.data_type == TensorProto.FLOAT]
    copies = []
    for tensor in hidden:
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copies.append(copy)
        graph.initializer.remove(tensor)
        graph.input.append(helper.make_tensor_value_info(copy.name, TensorProto.FLOAT, list(copy.dims)))
    return copies


def _restore_weights(graph: Any, hidden: Sequence[Any]) -> None:
    """Put the weights back: as FLOAT16, and as FLOAT where an operator that stays float32 reads them."""
    by_name = {tensor.name: tensor for tensor in hidden}
    for declared in [tensor for tensor in graph.input if tensor.name in by_name]:
        graph.input.remove(declared)
    renamed: dict[str, str] = {}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in by_name]:
        renamed[node.output[0]] = f"{node.input[0]}_float32"
        full = graph.initializer.add()
        full.CopyFrom(by_name[node.input[0]])
        full.name = f"{node.input[0]}_float32"
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    used = {name for node in graph.node for name in node.input}
    for tensor in hidden:
        if tensor.name in used:
            tensor.data_type = TensorProto.FLOAT16
            graph.initializer.append(tensor)
