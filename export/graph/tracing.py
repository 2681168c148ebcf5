"""PyTorch → ONNX without a second copy of the weights: the graph is traced bare, the weights are written beside it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

from export.graph.floor import nodes_of, used_names
from export.graph.weights import DATA_SUFFIX, LARGE_BYTES, PIECE_BYTES, store

# Computed while tracing, as PyTorch's own constant folding would, which wants all weights in the graph.
FOLDED = frozenset({"Cast", "Concat", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


def trace(model: Any, onnx_config: Any, path: Path, opset: int) -> None:
    """Trace a model into `path`; weights of 64 KiB and more go to a file beside it, named with `.data` after.

    Args:
        model: PyTorch model, in evaluation mode.
        onnx_config: optimum's description of the architecture's inputs, outputs and patches.
        path: file to write.
        opset: version of the ONNX operators.
    """
    model.config.return_dict = True
    for name, value in (onnx_config.values_override or {}).items():
        setattr(model.config, name, value)
    sample = onnx_config.rename_ambiguous_inputs(onnx_config.generate_dummy_inputs(framework="pt"))
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        onnx_config.patch_model_for_export(model, model_kwargs={}),
        _largest_put_aside(model),
    ):
        # The tracer warns of every Python value it takes for a constant; the parity check tells whether that matters.
        warnings.simplefilter("ignore")
        inputs = onnx_config.ordered_inputs(model)
        torch.onnx.export(
            model,
            (sample,),
            str(path),
            input_names=list(inputs),
            output_names=list(onnx_config.outputs),
            dynamic_axes={**inputs, **onnx_config.outputs},
            opset_version=opset,
            dynamo=False,
            export_params=False,
            do_constant_folding=False,
        )
    bare = onnx.load(path)
    _attach(bare, model.state_dict(), path)
    onnx.save(bare, path)


@contextmanager
def _largest_put_aside(model: Any) -> Iterator[None]:
    """Let the largest weight, an embedding as a rule, be zeros that take no memory until they are written to.

    The tracer copies each weight several times to infer the shape of what is computed with it, and looks at no value
    but for one thing: it takes weights of one shape that are equal for the same one. So the shape must be the only one.
    """
    parameters = list({id(each): each for each in model.parameters()}.values())
    largest = max(parameters, key=lambda each: each.nbytes)
    if [each.shape for each in parameters].count(largest.shape) > 1:
        yield
        return
    content = largest.data
    # NumPy, unlike PyTorch, leaves fresh zeros to the operating system.
    largest.data = torch.from_numpy(np.zeros(tuple(content.shape), content[:0].numpy().dtype))
    try:
        yield
    finally:
        largest.data = content


def _attach(bare: Any, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Make initializers of the inputs that are weights; products of a transposed weight get it transposed."""
    graph = bare.graph
    declared = [tensor for tensor in graph.input if tensor.name in weights]
    for tensor in declared:
        graph.input.remove(tensor)
    values = {tensor.name: weights[tensor.name].detach() for tensor in declared}
    _fold(graph, values)
    used = used_names(graph)
    with path.with_name(path.name + DATA_SUFFIX).open("wb") as stream:
        for name, value in values.items():
            if name not in used:
                continue
            if value.nbytes < LARGE_BYTES:
                graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value.numpy()), name))
                continue
            kind = onnx.helper.np_dtype_to_tensor_dtype(value[:0].numpy().dtype)
            tensor = graph.initializer.add(name=name, dims=value.shape, data_type=kind)
            store(tensor, _pieces(value), stream, path.name + DATA_SUFFIX)


def _fold(graph: Any, values: dict[str, torch.Tensor]) -> None:
    """Compute what depends on weights and constants alone: transposes as views, the rest where it is small."""
    small: dict[str, Any] = {}
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Identity" and node.input[0] in values:
            same[node.output[0]] = node.input[0]  # weights with equal content are traced as one
            continue
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            small[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Transpose" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].permute(*node.attribute[0].ints)
            continue
        elif node.op_type in FOLDED and all(name in small for name in node.input if name):
            (small[node.output[0]],) = _evaluate(node, small)
            value = onnx.numpy_helper.from_array(np.asarray(small[node.output[0]]))
            kept.append(onnx.helper.make_node("Constant", [], list(node.output), name=node.name, value=value))
            continue
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    for node in nodes_of(graph):
        node.input[:] = [same.get(name, name) for name in node.input]
    used = used_names(graph)
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] not in used]:
        graph.node.remove(node)


def _evaluate(node: Any, known: dict[str, Any]) -> list[Any]:
    return list(ReferenceEvaluator(node).run(None, {name: known[name] for name in node.input if name}))


def _pieces(value: torch.Tensor) -> Iterator[bytes]:
    """A tensor's content, row by row in pieces: a transposed view is never there as a whole copy."""
    rows = max(1, PIECE_BYTES // max(1, value[0].nbytes))
    for start in range(0, len(value), rows):
        yield np.ascontiguousarray(value[start : start + rows].numpy()).tobytes()
