"""int8 answers near float32, gives a sentence the same score in any company, and cannot saturate."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from export.graph.build import check_graph, export_graph, optimize_graph
from export.graph.cpu_kernels import split_embedding_layer_norms, split_skip_layer_norms
from export.graph.first_token import pick_first_token_early
from export.graph.weights import write_model
from export.precision.int8 import choice
from export.precision.int8.calibration import CalibrationText, observe
from export.precision.int8.choice import products_to_keep
from export.precision.int8.graph import Int8Graph
from export.precision.int8.quantize import products_of, quantize, round_products
from export.precision.int8.weights import round_weights
from export.texts.data_file import read_data
from export.texts.sentences import choose_sentences
from pretrained.architectures import ARCHITECTURES
from repository.inference import pad_batch
from repository.manifest import Manifest, Precision
from tests.steps import no_step
from tests.tiny_architectures import tiny_config
from tests.tiny_models import PACKAGED_ENCODER, word_tokenizer, write_any_classifier, write_classifier
from training import SAMPLE_DATA

INT8 = ("MatMulIntegerToFloat", "QAttention")
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


def some_texts(count: int, longest: int, seed: int) -> list[CalibrationText]:
    return [CalibrationText(ids) for ids in some_ids(count, longest, seed)]


@dataclass(frozen=True)
class Graphs:
    """A traced graph, its float32 and int8 form, and the products that stay float32 in the latter."""

    raw: Path
    config: Any
    full: Path
    small: Path
    kept: list[str]


SHARE = 0.1
"""Of the work, in float32: of so few products the twentieth of real models would be none."""


@pytest.fixture(scope="module", params=sorted(WRITERS))
def graphs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    WRITERS[request.param](folder / "checkpoint")
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder / "checkpoint")
    checkpoint = load_checkpoint(str(folder / "checkpoint"))
    return write_graphs(export_graph(checkpoint, folder), checkpoint.model.config, folder / "written")


def write_graphs(raw: Path, config: Any, folder: Path) -> Graphs:
    folder.mkdir()
    full, small = folder / "full.onnx", folder / "int8.onnx"
    model = optimize(raw, config)
    write_model(model, full, raw.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "FLOAT32_WORK", SHARE)
        kept = quantize(model, raw.parent, some_texts(64, 24, seed=1), 0, no_step)
    write_model(model, small, raw.parent)
    return Graphs(raw, config, full, small, kept)


def optimize(raw: Path, config: Any) -> Any:
    optimized = optimize_graph(raw, config)
    split_skip_layer_norms(optimized.model)
    pick_first_token_early(optimized.model)
    split_embedding_layer_norms(optimized.model)
    return optimized.model


def asker(path: Path) -> Callable[..., Any]:
    session = onnxruntime.InferenceSession(path)
    return lambda ids, length=None: session.run(None, pad_batch(ids, 0, length))[0]


@pytest.mark.parametrize("batch", [2, 3, 8, 17])
def test_a_sentence_scores_the_same_bit_for_bit_alone_padded_and_beside_long_ones(graphs: Graphs, batch: int) -> None:
    ask = asker(graphs.small)
    ids = some_ids(batch - 1, 12, seed=batch) + some_ids(1, 40, seed=0)
    together = ask(ids, 48)
    for row, sentence in zip(together, ids, strict=True):
        assert np.array_equal(ask([sentence], len(sentence))[0], row)
        assert np.array_equal(ask([sentence], 56)[0], row)


def test_int8_answers_near_float32(graphs: Graphs) -> None:
    ids = some_ids(200, 24, seed=2)
    full, small = (asker(path)(ids) for path in (graphs.full, graphs.small))
    assert not np.array_equal(full, small)
    assert np.abs(full - small).max() < 0.05 * np.ptp(full)


def test_weights_are_bytes_whose_pairs_cannot_saturate_16_bits(graphs: Graphs) -> None:
    graph = onnx.load(graphs.small).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = [weights[n.input[1]] for n in graph.node if n.op_type in INT8]
    assert len(found) >= 4
    for matrix in found:
        assert matrix.dtype == np.int8
        pairs = np.pad(matrix.astype(int), ((0, len(matrix) % 2), (0, 0))).reshape(-1, 2, matrix.shape[1])
        assert 255 * np.clip(pairs, 0, None).sum(axis=1).max() <= 2**15 - 1
        assert 255 * np.clip(pairs, None, 0).sum(axis=1).min() >= -(2**15)


def test_nothing_in_the_graph_measures_the_batch(graphs: Graphs) -> None:
    operators = {node.op_type for node in onnx.load(graphs.small).graph.node}
    assert not operators & {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
    check_graph(graphs.small)


def test_the_same_sentences_give_the_same_file(graphs: Graphs, tmp_path: Path) -> None:
    again = write_graphs(graphs.raw, graphs.config, tmp_path / "again")
    assert again.small.read_bytes() == graphs.small.read_bytes()


def test_without_sentences_int8_is_refused_in_one_line(graphs: Graphs, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="int8 needs sentences to set its scales by"):
        quantize(onnx.load(graphs.full), tmp_path, [], 0, no_step)


def test_no_more_than_its_share_of_the_work_stays_in_float32(graphs: Graphs) -> None:
    model = optimize(graphs.raw, graphs.config)
    work = {product.output: product.work for product in products_of(model.graph)}
    assert graphs.kept
    assert sum(work[name] for name in graphs.kept) <= SHARE * sum(work.values())
    outputs = {name for node in onnx.load(graphs.small).graph.node if node.op_type in INT8 for name in node.output}
    assert len(outputs) == len(work) - len(graphs.kept)


def test_what_int8_harms_most_stays_in_float32(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "FLOAT32_WORK", 0.3)  # so that there is a choice
    model = optimize(graphs.raw, graphs.config)
    products = [product for product in products_of(model.graph) if product.node.op_type != "Attention"]
    folder, texts = graphs.raw.parent, some_texts(64, 24, seed=1)
    channels = {product.data: product.inputs for product in products}
    rounded = {}
    for data, moments in observe(model, folder, channels, texts, 0):
        rounded.update(round_products(model.graph, folder, [p for p in products if p.data == data], moments, False))
    harmed = [p.output for p in products if p.work <= 0.3 * sum(p.work for p in products)][-1]
    rounded[harmed] = replace(rounded[harmed], scales=-rounded[harmed].scales)
    advanced: list[int] = []
    graph = Int8Graph(model, folder, products, rounded)
    assert products_to_keep(graph, folder, texts, 0, advanced.append)[0] == harmed
    assert sum(advanced) == len(graph.products)


def test_layer_norm_centres_what_it_gives_at_no_cost(graphs: Graphs) -> None:
    operators = Counter(node.op_type for node in onnx.load(graphs.small).graph.node)
    full = Counter(node.op_type for node in onnx.load(graphs.full).graph.node)
    assert operators["LayerNormalization"] > full["LayerNormalization"]
    assert operators["Sub"] == full["Sub"]


def test_a_session_does_not_fuse_the_split_normalization_again(graphs: Graphs, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(graphs.full, options, providers=["CPUExecutionProvider"])
    loaded = Counter(node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node)
    assert loaded["LayerNormalization"] >= 4
    assert not loaded["SkipLayerNormalization"]


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
    chosen = choose_sentences(read_data(path), [])
    assert len(chosen.calibration) >= 10
    assert not set(chosen.calibration) & set(chosen.compared)


@pytest.mark.parametrize("model_type", sorted(name for name, known in ARCHITECTURES.items() if not known.int8))
def test_an_architecture_without_products_to_quantize_is_refused_int8_in_one_line(
    model_type: str, tmp_path: Path
) -> None:
    folder = write_any_classifier(tmp_path / "c", tiny_config(model_type), word_tokenizer())
    (tmp_path / "texts.txt").write_text("\n".join(f"word{n} word{n + 1}" for n in range(30)))
    for precision, status in (("int8", 1), ("auto", 0)):
        options = ["--data", str(tmp_path / "texts.txt"), "--output", str(tmp_path / precision)]
        done = CliRunner().invoke(app, [str(folder), *options, "--precision", precision])
        assert done.exit_code == status, done.output
        if status:
            assert "no product with fixed weights to put into int8: use --precision fp32" in str(done.exception)
    assert Manifest.read(tmp_path / "auto").precision is Precision.FP32
