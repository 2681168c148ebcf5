"""How far each value of a graph reaches: the float32 graph is run, and the largest magnitude of every tensor kept."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from pretrained.batches import batches_by_length
from repository.inference import Int64Array, pad_batch

Feed = Mapping[str, Int64Array]

BATCH_SIZE = 16
MOST_SENTENCES = 128


def calibration_feeds(ids: Sequence[Sequence[int]], pad_token_id: int, max_length: int, vocabulary: int) -> list[Feed]:
    """Inputs to measure on: a sample of the sentences, and two rows of random tokens, as long as can be."""
    chance = random.Random(0)
    chosen = sorted(chance.sample(list(ids), min(MOST_SENTENCES, len(ids))), key=len)
    batches = batches_by_length(list(map(len, chosen)), BATCH_SIZE)
    feeds: list[Feed] = [pad_batch([chosen[index] for index in batch], pad_token_id) for batch in batches]
    for frame in chosen[-2:]:
        # The first and last tokens are those of a sentence: some models look for the one that ends it.
        inner = [chance.randrange(vocabulary) for _ in range(max_length - 2)]
        row = [frame[0], *inner, frame[-1]][:max_length]
        feeds.append(pad_batch([row], pad_token_id, len(row)))
    return feeds


def measure_ranges(model: Any, weights: Path, feeds: Sequence[Feed]) -> dict[str, float]:
    """Largest magnitude of every FLOAT tensor that a node gives, and by a node's name of the values inside it.

    Args:
        model: ONNX `ModelProto` in float32, fused or not.
        weights: folder in which its large weights lie; a graph with probes is written there for the time being.
        feeds: inputs to run it on.
    """
    path = weights / "ranges.onnx"
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    probes = _Probes(probed.graph)
    for name in _float_tensors(model, path):
        probes.add(name, name)
    for node in model.graph.node:
        if node.op_type == "Attention":
            probes.add_attention(node)
        elif node.op_type == "MultiHeadAttention":
            probes.add_scores(node.input[0], node.input[1], node)
        elif node.op_type == "SkipLayerNormalization":
            probes.add_skip_layer_norm(node)
    del probed.graph.output[:]
    probed.graph.output.extend(helper.make_tensor_value_info(p, TensorProto.FLOAT, []) for p in probes.subjects)
    session = _session(probed, path)
    reach: dict[str, float] = {}
    for feed in feeds:
        for probe, value in zip(probes.subjects, session.run(list(probes.subjects), dict(feed)), strict=True):
            subject = probes.subjects[probe]
            # np.maximum keeps a NaN, max() may not.
            reach[subject] = float(np.maximum(reach.get(subject, 0.0), value))
    path.unlink()
    return reach


class _Probes:
    """Nodes that reduce values of a graph to their largest magnitude; `subjects` tells whose each probe is."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.subjects: dict[str, str] = {}

    def add(self, tensor: str, subject: str) -> None:
        """Watch a FLOAT tensor in the name of a tensor or a node."""
        probe = f"probe/{len(self.subjects)}"
        self.subjects[probe] = subject
        magnitude = self._node("Abs", [tensor])
        # The zero lets an empty tensor have a largest magnitude too.
        flat = self._node("Reshape", [magnitude, self._constant(np.array([-1]))])
        padded = self._node("Concat", [flat, self._constant(np.zeros(1, np.float32))], axis=0)
        self.graph.node.append(helper.make_node("ReduceMax", [padded], [probe], keepdims=0))

    def add_attention(self, node: Any) -> None:
        """Queries, keys and values, and a bound on the scores: longest query times longest key, scaled."""
        sizes = next((list(a.ints) for a in node.attribute if a.name == "qkv_hidden_sizes"), None)
        projected = self._node("MatMul", list(node.input[:2]))
        if len(node.input) > 2 and node.input[2]:
            projected = self._node("Add", [projected, node.input[2]])
        self.add(projected, node.name)
        split = [self._constant(np.array(sizes))] if sizes else []
        parts = [f"{projected}/{part}" for part in "qkv"]
        self.graph.node.append(helper.make_node("Split", [projected, *split], parts, axis=-1))
        self.add_scores(parts[0], parts[1], node)

    def add_scores(self, query: str, key: str, node: Any) -> None:
        """A bound on the scores of queries and keys `[batch, sequence, channels]`, as a fused attention scales them."""
        heads = next(a.i for a in node.attribute if a.name == "num_heads")
        shape = self._constant(np.array([0, 0, heads, -1]))
        norms = []
        for part in (query, key):
            norm = self._node("ReduceL2", [self._node("Reshape", [part, shape])], axes=[-1], keepdims=0)
            norms.append(self._node("ReduceMax", [norm], keepdims=0))
        scale = next((a.f for a in node.attribute if a.name == "scale" and a.f), None)
        if scale is None:
            width = self._node(
                "Gather", [self._node("Shape", [self._node("Reshape", [query, shape])]), self._constant(np.array(3))]
            )
            root = self._node("Sqrt", [self._node("Cast", [width], to=TensorProto.FLOAT)])
            self.add(self._node("Div", [self._node("Mul", norms), root]), node.name)
        else:
            factor = self._constant(np.array(scale, np.float32))
            self.add(self._node("Mul", [self._node("Mul", norms), factor]), node.name)

    def add_skip_layer_norm(self, node: Any) -> None:
        """The sum that is normalized, and the mean of its squares: CUDA's kernel adds both up in float16."""
        total = self._node("Add", list(node.input[:2]))
        if len(node.input) > 4 and node.input[4]:
            total = self._node("Add", [total, node.input[4]])
        self.add(total, node.name)
        self.add(self._node("ReduceMean", [self._node("Mul", [total, total])], axes=[-1]), node.name)

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        output = f"probe/value{len(self.graph.node)}"
        self.graph.node.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, value: Any) -> str:
        name = f"probe/constant{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def _float_tensors(model: Any, path: Path) -> list[str]:
    """Names of the FLOAT tensors that nodes give, as ONNX Runtime infers the types."""
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    outputs = {tensor.name for tensor in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in outputs]
    typed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return [tensor.name for tensor in _session(typed, path).get_outputs() if tensor.type == "tensor(float)"]


def _session(model: Any, path: Path) -> Any:
    onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
