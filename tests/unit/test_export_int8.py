"""int8 answers near float32, gives a sentence the same score in any company, and cannot saturate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from transformers import (
    AutoTokenizer,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from export import ExportError
from export.checkpoint import load_checkpoint
from export.graph import check_graph, export_graph, optimize_graph
from export.int8 import quantize
from export.int8_weights import round_weights
from export.sentences import load_calibration, load_sentences
from repository.inference import pad_batch
from tests.tiny_models import PACKAGED_ENCODER, write_classifier
from training import SAMPLE_DATA

SIZES = {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 30522, "num_labels": 3}


def write_bert(folder: Path) -> None:
    write_classifier(folder, ["a", "b", "c"])


def write_roberta(folder: Path) -> None:
    config = RobertaConfig(hidden_size=32, intermediate_size=64, max_position_embeddings=66, **SIZES)
    RobertaForSequenceClassification(config).save_pretrained(folder)


def write_distilbert(folder: Path) -> None:
    config = DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=2, n_heads=4, vocab_size=30522, num_labels=3, max_position_embeddings=64
    )
    DistilBertForSequenceClassification(config).save_pretrained(folder)


def write_deberta(folder: Path) -> None:
    config = DebertaV2Config(
        hidden_size=32,
        intermediate_size=64,
        max_position_embeddings=64,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        **SIZES,
    )
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)


WRITERS = {"bert": write_bert, "roberta": write_roberta, "distilbert": write_distilbert, "deberta": write_deberta}


def some_ids(count: int, longest: int, seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, longest + 1, count)
    return [generator.integers(1000, 30000, length).tolist() for length in lengths]


@pytest.fixture(scope="module", params=sorted(WRITERS))
def graphs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """float32 and int8 graph of a tiny classifier."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    WRITERS[request.param](folder / "checkpoint")
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder / "checkpoint")
    checkpoint = load_checkpoint(str(folder / "checkpoint"))
    full, small = folder / "full.onnx", folder / "int8.onnx"
    optimize_graph(export_graph(checkpoint, folder), checkpoint.model.config).save_model_to_file(str(full))
    quantize(full, small, some_ids(64, 24, seed=1), 0)
    return full, small


def asker(path: Path) -> Callable[..., Any]:
    session = onnxruntime.InferenceSession(path)
    return lambda ids, length=None: session.run(None, pad_batch(ids, 0, length))[0]


@pytest.mark.parametrize("batch", [2, 3, 8, 17])
def test_a_sentence_scores_the_same_bit_for_bit_alone_padded_and_beside_long_ones(
    graphs: tuple[Path, Path], batch: int
) -> None:
    ask = asker(graphs[1])
    ids = some_ids(batch - 1, 12, seed=batch) + some_ids(1, 40, seed=0)
    together = ask(ids, 48)
    for row, sentence in zip(together, ids, strict=True):
        assert np.array_equal(ask([sentence], len(sentence))[0], row)
        assert np.array_equal(ask([sentence], 56)[0], row)


def test_int8_answers_near_float32(graphs: tuple[Path, Path]) -> None:
    ids = some_ids(200, 24, seed=2)
    full, small = (asker(path)(ids) for path in graphs)
    assert not np.array_equal(full, small)
    assert np.abs(full - small).max() < 0.05 * np.ptp(full)


def test_weights_are_bytes_whose_pairs_cannot_saturate_16_bits(graphs: tuple[Path, Path]) -> None:
    graph = onnx.load(graphs[1]).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = [weights[n.input[1]] for n in graph.node if n.op_type in ("MatMulIntegerToFloat", "QAttention")]
    assert len(found) >= 4
    for matrix in found:
        assert matrix.dtype == np.int8
        pairs = np.pad(matrix.astype(int), ((0, len(matrix) % 2), (0, 0))).reshape(-1, 2, matrix.shape[1])
        assert 255 * np.clip(pairs, 0, None).sum(axis=1).max() <= 2**15 - 1
        assert 255 * np.clip(pairs, None, 0).sum(axis=1).min() >= -(2**15)


def test_nothing_in_the_graph_measures_the_batch(graphs: tuple[Path, Path]) -> None:
    operators = {node.op_type for node in onnx.load(graphs[1]).graph.node}
    assert not operators & {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
    check_graph(graphs[1])


def test_the_same_sentences_give_the_same_file(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    quantize(graphs[0], tmp_path / "again.onnx", some_ids(64, 24, seed=1), 0)
    assert (tmp_path / "again.onnx").read_bytes() == graphs[1].read_bytes()


def test_without_sentences_int8_is_refused_in_one_line(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="int8 needs sentences to set its scales by"):
        quantize(graphs[0], tmp_path / "none.onnx", [], 0)


def test_weights_are_rounded_for_the_inputs_that_come() -> None:
    generator = np.random.default_rng(0)
    tokens = generator.normal(size=(2000, 8)) @ generator.normal(size=(8, 48))
    weights = generator.normal(size=(48, 20)).astype(np.float32)
    rounded, scale = round_weights(weights, tokens.T @ tokens / len(tokens))
    nearest = np.rint(weights / scale) * scale
    error, plain = (np.square(tokens @ (w - weights)).mean() for w in (rounded * scale, nearest))
    assert error < plain / 4


@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_no_sentence_both_calibrates_and_is_compared_on(kind: str, tmp_path: Path) -> None:
    path = SAMPLE_DATA
    if kind == "txt":
        path = tmp_path / "sentences.txt"
        path.write_text("\n".join(f"sentence {i}" for i in range(50)))
    calibration = load_calibration(path)
    compared, _ = load_sentences(path, [])
    assert len(calibration) >= 10
    assert not set(calibration) & set(compared)
