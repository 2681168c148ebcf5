"""A graph that is traced bare gets every weight back, whatever an architecture does with it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    PreTrainedModel,
)

from export.checkpoint.load import load_checkpoint
from export.graph.build import export_graph
from export.graph.tracing import _largest_put_aside
from tests.tiny_models import SIZES, write_architecture, write_model

VOCABULARY = {"vocab_size": 30522, "max_position_embeddings": 64, "num_labels": 3}


def shared_layers() -> PreTrainedModel:
    return AlbertForSequenceClassification(AlbertConfig(**SIZES, **VOCABULARY, embedding_size=16))


def graphs_inside_the_graph() -> PreTrainedModel:
    relative = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16}
    return DebertaV2ForSequenceClassification(DebertaV2Config(**SIZES, **VOCABULARY, **relative))


@pytest.mark.parametrize("make", [shared_layers, graphs_inside_the_graph])
def test_the_traced_graph_answers_as_pytorch_does(tmp_path: Path, make: type[PreTrainedModel]) -> None:
    torch.manual_seed(0)
    checkpoint = load_checkpoint(str(write_model(tmp_path / "checkpoint", make())))
    ids = np.random.default_rng(0).integers(1000, 30000, (3, 17))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    if checkpoint.token_types:
        feed["token_type_ids"] = ids % 2
    with torch.inference_mode():
        expected = checkpoint.model(**{name: torch.from_numpy(value) for name, value in feed.items()}).logits.numpy()
    logits = onnxruntime.InferenceSession(export_graph(checkpoint, tmp_path)).run(["logits"], feed)[0]
    assert np.abs(logits - expected).max() < 1e-5


def test_tracing_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(write_architecture(tmp_path / "checkpoint", "bert")))
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    export_graph(checkpoint, tmp_path)
    after = checkpoint.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_only_a_weight_whose_shape_is_its_own_is_put_aside() -> None:
    """The tracer takes weights of one shape and equal content for the same one."""
    twins = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)])
    with _largest_put_aside(twins):
        assert all(bool(layer.weight.any()) for layer in twins)
    single = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Linear(16, 8)])
    before = single[1].weight.clone()
    with _largest_put_aside(single):
        assert not single[1].weight.any()
        assert bool(single[0].weight.any())
    assert torch.equal(single[1].weight, before)
