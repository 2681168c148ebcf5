"""Of the last layer, only what the classifier reads is computed: the first token's row, not those of all tokens.

A classifier such as BERT's takes its sentence's vector from the first token. Attention is the last operator in which
tokens meet; what follows it treats each token by itself. So the first token is picked out right after it, and the last
layer's remaining products have one row for each sentence. The row is the same, bit for bit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

# Ends the names of tensors that hold the first tokens alone, `[batch, 1, channels]`.
FIRST_TOKEN = "/first_token"
# Operators whose output for a token depends on that token alone; those in the second row add up or multiply tensors.
_ALONE = {"LayerNormalization", "MatMul", "BiasGelu", "Gelu", "FastGelu", "Tanh", "Relu"}
_TOGETHER = {"Add", "Sum", "Sub", "Mul", "Div"}


def pick_first_token_early(model: Any) -> None:
    """Move the choice of the first token to where tokens meet for the last time, in place.

    A graph whose classifier reads more than the first token stays as it is.
    """
    graph = model.graph
    constants = dict(_constants(graph))
    for pick in [node for node in graph.node if _picks_first(node, constants)]:
        _move_up(graph, pick, constants)


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """Name and `TensorProto` of each constant."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], entry.t) for entry in node.attribute if entry.name == "value")


def _picks_first(node: Any, constants: dict[str, Any]) -> bool:
    if node.op_type != "Gather" or [entry.i for entry in node.attribute if entry.name == "axis"] != [1]:
        return False
    index = constants.get(node.input[1])
    return index is not None and list(index.dims) == [] and int(numpy_helper.to_array(index)) == 0


def _move_up(graph: Any, pick: Any, constants: dict[str, Any]) -> None:
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    kept = {tensor.name for tensor in graph.output}
    wanted, moved = {pick.input[0]}, [pick]
    for node in reversed(graph.node):
        output = node.output[0]
        if output not in wanted or output in kept or not _treats_tokens_alone(node, constants):
            continue
        if all(reader in moved for reader in readers[output]):
            moved.append(node)
            wanted.update(_tokens(node, constants))
    if moved == [pick]:
        return
    given = {node.output[0] for node in moved}
    for node in moved:
        for place, name in enumerate(node.input):
            if name in wanted:
                node.input[place] = f"{name}{FIRST_TOKEN}"
        if node is not pick:
            node.output[0] = f"{node.output[0]}{FIRST_TOKEN}"
    _pick_before_use(graph, wanted - given)


def _treats_tokens_alone(node: Any, constants: dict[str, Any]) -> bool:
    if len(node.output) != 1 or node.op_type not in _ALONE | _TOGETHER:
        return False
    tokens = _tokens(node, constants)
    if node.op_type == "LayerNormalization" and any(entry.i != -1 for entry in node.attribute if entry.name == "axis"):
        return False
    if node.op_type == "MatMul":
        return tokens == [node.input[0]] and len(constants[node.input[1]].dims) == 2
    if node.op_type in _ALONE:
        return tokens == [node.input[0]]
    return bool(tokens) and all(len(constants[name].dims) <= 1 for name in node.input if name in constants)


def _tokens(node: Any, constants: dict[str, Any]) -> list[str]:
    """Inputs that are no constants: those with a row for each token."""
    return [name for name in node.input if name and name not in constants]


def _pick_before_use(graph: Any, names: set[str]) -> None:
    index = FIRST_TOKEN.removeprefix("/")
    if index not in {tensor.name for tensor in graph.initializer}:
        graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), index))
    nodes: list[Any] = []
    missing = set(names)
    # Before the first node that reads it, so that an input of the graph is served like any node's output.
    for node in graph.node:
        for name in sorted(missing):
            if f"{name}{FIRST_TOKEN}" in node.input:
                output = f"{name}{FIRST_TOKEN}"
                nodes.append(helper.make_node("Gather", [name, index], [output], name=output, axis=1))
                missing.remove(name)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
