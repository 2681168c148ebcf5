"""How a graph with two inputs is told token types: by its attention mask.

Every served graph takes `input_ids` and `attention_mask` alone, so the mask says it: 0 for padding, 1 for a token of
type 0, 2 for one of type 1. A mask of zeros and ones means what it always did.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from export.graph.floor import nodes_of
from pretrained.inputs import ATTENTION_MASK, TOKEN_TYPE_IDS


def fold_token_types(model: Any) -> None:
    """Let an ONNX `ModelProto` read `token_type_ids` from its `attention_mask`, in place; without that input, nothing.

    Done after fusion, which knows three inputs well. The two tensors are INT64 `[batch, sequence]`: the nodes cost
    nothing beside the embedding alone.
    """
    graph = model.graph
    types = next((tensor for tensor in graph.input if tensor.name == TOKEN_TYPE_IDS), None)
    if types is None:
        return
    graph.input.remove(types)
    attended, one = f"{ATTENTION_MASK}/attended", f"{ATTENTION_MASK}/one"
    for node in nodes_of(graph):
        node.input[:] = [attended if name == ATTENTION_MASK else name for name in node.input]
    second = f"{ATTENTION_MASK}/second"
    graph.initializer.append(numpy_helper.from_array(np.array(1, dtype=np.int64), one))
    nodes = [
        helper.make_node("Min", [ATTENTION_MASK, one], [attended], name=attended),
        helper.make_node("Greater", [ATTENTION_MASK, one], [second], name=second),
        helper.make_node("Cast", [second], [TOKEN_TYPE_IDS], name=TOKEN_TYPE_IDS, to=TensorProto.INT64),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
