"""What the last layer computes for tokens that nobody reads is left out, and no logit changes by a bit."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoTokenizer

from export.checkpoint.load import load_checkpoint
from export.graph.build import export_graph, optimize_graph
from export.graph.cpu_kernels import split_skip_layer_norms
from export.graph.first_token import FIRST_TOKEN, pick_first_token_early
from export.graph.weights import write_model
from repository.inference import pad_batch
from tests.tiny_models import ARCHITECTURES, PACKAGED_ENCODER, write_architecture

# After the last attention: a product, a normalization, two products and another normalization.
LAST_LAYER = {"MatMul": 3, "LayerNormalization": 2}


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_last_layer_is_computed_for_the_first_token_alone_to_the_bit(architecture: str, tmp_path: Path) -> None:
    folder = write_architecture(tmp_path / "checkpoint", architecture)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    checkpoint = load_checkpoint(str(folder))
    optimized = optimize_graph(export_graph(checkpoint, tmp_path), checkpoint.model.config)
    split_skip_layer_norms(optimized.model)
    write_model(optimized.model, tmp_path / "whole.onnx", tmp_path)
    pick_first_token_early(optimized.model)
    write_model(optimized.model, tmp_path / "first.onnx", tmp_path)
    early = Counter(node.op_type for node in optimized.model.graph.node if node.output[0].endswith(FIRST_TOKEN))
    assert {operator: early[operator] for operator in LAST_LAYER} == LAST_LAYER
    whole, first = (onnxruntime.InferenceSession(tmp_path / name) for name in ("whole.onnx", "first.onnx"))
    generator = np.random.default_rng(0)
    for lengths in ([5], [3, 9], [12] * 17):
        ids = [generator.integers(5, 99, length).tolist() for length in lengths]
        for feed in (pad_batch(ids, 0), pad_batch(ids, 0, 20)):
            assert np.array_equal(whole.run(None, feed)[0], first.run(None, feed)[0])


def graph(index: Any, read_elsewhere: bool = False) -> Any:
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "sequence", 8])
    nodes = [
        helper.make_node("MatMul", ["tokens", "weights"], ["product"]),
        helper.make_node("Gather", ["product", "index"], ["first"], axis=1),
    ]
    outputs = ["first", "product"] if read_elsewhere else ["first"]
    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.asarray(index), "index")]
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    made = helper.make_graph(nodes, "head", [tokens], described, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    "model", [graph(1), graph([0, 1]), graph(0, read_elsewhere=True)], ids=["second", "two", "all are read"]
)
def test_a_graph_that_reads_more_than_the_first_token_stays_as_it_is(model: Any) -> None:
    before = model.SerializeToString()
    pick_first_token_early(model)
    assert model.SerializeToString() == before


def test_the_first_token_is_picked_before_the_product() -> None:
    model = graph(0)
    pick_first_token_early(model)
    assert [node.op_type for node in model.graph.node] == ["Gather", "MatMul", "Gather"]
    whole, first = (onnxruntime.InferenceSession(each.SerializeToString()) for each in (graph(0), model))
    tokens = np.random.default_rng(1).normal(size=(3, 5, 8)).astype(np.float32)
    assert np.array_equal(whole.run(["first"], {"tokens": tokens})[0], first.run(["first"], {"tokens": tokens})[0])
