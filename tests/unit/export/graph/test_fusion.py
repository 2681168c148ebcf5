"""The operators that make a graph fast are there: one that is lost with a new library must not go unnoticed."""

from collections import Counter
from pathlib import Path

import pytest

from export.checkpoint.load import load_checkpoint
from export.graph.build import export_graph, optimize_graph
from tests.tiny_models import write_architecture

# Two layers: an attention and an activation each, a normalization after each of the two halves of a layer.
LAYERS = {"Attention": 2, "SkipLayerNormalization": 4, "BiasGelu": 2}


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("bert", {**LAYERS, "EmbedLayerNormalization": 1, "LayerNormalization": 0}),
        ("distilbert", {**LAYERS, "EmbedLayerNormalization": 1, "LayerNormalization": 0}),
        # Positions are counted from the padding, which the embedding's fused operator does not know.
        ("roberta", {**LAYERS, "EmbedLayerNormalization": 0, "LayerNormalization": 1}),
    ],
)
def test_attention_normalization_activation_and_embedding_are_fused(
    tmp_path: Path, architecture: str, expected: dict[str, int]
) -> None:
    checkpoint = load_checkpoint(str(write_architecture(tmp_path / "checkpoint", architecture)))
    optimized = optimize_graph(export_graph(checkpoint, tmp_path), checkpoint.model.config)
    found = Counter(node.op_type for node in optimized.model.graph.node)
    assert {operator: found[operator] for operator in expected} == expected
    assert not {"Softmax", "Erf", "Sqrt"} & set(found), "parts of what should be fused are left"
