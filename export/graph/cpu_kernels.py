"""Operators that do the same in less time on a CPU; a float16 graph, made for GPUs, keeps what was fused."""

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from pretrained.inputs import INPUT_IDS

# Outputs of SkipLayerNormalization: the result, two that only training reads, and the sum before normalization.
RESULT, TOTAL = 0, 3


def split_skip_layer_norms(model: Any) -> None:
    """Replace each SkipLayerNormalization by Sum and LayerNormalization, and an Add before one by Sum, in place.

    ONNX Runtime 1.32 takes 0.92 ms for the fused operator on 384 tokens of 384 channels, and 0.30 ms for the two (one
    thread, AVX-512); version 1.19, of the pinned Triton, 0.22 ms and 0.42 ms. Sum and not Add: when a session loads
    the graph, Add and LayerNormalization would be fused again.
    """
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type != "SkipLayerNormalization" or any(node.output[RESULT + 1 : TOTAL]):
            nodes.append(node)
            continue
        tokens, skipped, gain, *rest = node.input
        shift, bias = [*rest, "", ""][:2]
        result = node.output[RESULT]
        total = node.output[TOTAL] if len(node.output) > TOTAL else f"{result}/total"
        summands = [name for name in (tokens, skipped, bias) if name]
        name = node.name or result
        epsilon = next((entry.f for entry in node.attribute if entry.name == "epsilon"), 1e-12)
        nodes.append(helper.make_node("Sum", summands, [total], name=f"{name}/sum"))
        inputs = [total, gain, *([shift] if shift else [])]
        nodes.append(helper.make_node("LayerNormalization", inputs, [result], name=name, epsilon=epsilon))
    normalized = {node.input[0] for node in nodes if node.op_type == "LayerNormalization"}
    for node in nodes:
        if node.op_type == "Add" and node.output[0] in normalized:
            node.op_type = "Sum"
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def split_embedding_layer_norms(model: Any) -> None:
    """Replace each EmbedLayerNormalization by the look-ups, the sum and the normalization that it does, in place.

    The fused operator takes a word table of floats alone, and cannot centre the channels that int8 reads.
    """
    graph = model.graph
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type == "EmbedLayerNormalization" and not any(node.output[2:]):
            nodes += _in_parts(graph, node)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _in_parts(graph: Any, node: Any) -> list[Any]:
    ids, types, words, positions, kinds, gain, shift, mask, places = [*node.input, "", ""][:9]
    # The fused operator wants ids as INT32, which they are cast to; a look-up takes them as they come.
    casts = {cast.output[0]: cast.input[0] for cast in graph.node if cast.op_type == "Cast"}
    ids = INPUT_IDS if casts.get(ids) == INPUT_IDS else ids
    name = node.output[0]
    summands = [f"{name}/words", f"{name}/positions"]
    nodes = [helper.make_node("Gather", [words, ids], [summands[0]], name=summands[0])]
    if places:
        nodes.append(helper.make_node("Gather", [positions, places], [summands[1]], name=summands[1]))
    else:
        nodes += _first_rows(graph, ids, positions, summands[1])
    if types:
        summands.append(f"{name}/types")
        nodes.append(helper.make_node("Gather", [kinds, types], [summands[2]], name=summands[2]))
    nodes.append(helper.make_node("Sum", summands, [f"{name}/total"], name=f"{name}/total"))
    epsilon = next((entry.f for entry in node.attribute if entry.name == "epsilon"), 1e-12)
    inputs = [f"{name}/total", gain, shift]
    nodes.append(helper.make_node("LayerNormalization", inputs, [name], name=name, epsilon=epsilon))
    if mask and len(node.output) > 1 and node.output[1]:
        inputs = [mask, _constant(graph, f"{name}/tokens", [1])]
        nodes.append(helper.make_node("ReduceSum", inputs, [node.output[1]], name=node.output[1], keepdims=0))
    return nodes


def _first_rows(graph: Any, ids: str, table: str, output: str) -> list[Any]:
    """Nodes that give the first rows of a table, as many as a sentence has tokens."""
    first, axis = _constant(graph, f"{output}/first", [0]), _constant(graph, f"{output}/axis", [0])
    return [
        helper.make_node("Shape", [ids], [f"{output}/count"], name=f"{output}/count", start=1, end=2),
        helper.make_node("Slice", [table, first, f"{output}/count", axis], [output], name=output),
    ]


def _constant(graph: Any, name: str, value: list[int]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    return name
