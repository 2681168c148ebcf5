"""float16 answers as PyTorch does at every length; what leaves its range is found by measurement and stays float32."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.onnx_model import OnnxModel
from transformers import BertForSequenceClassification
from typer.testing import CliRunner

from export.__main__ import app
from export.checkpoint.load import Checkpoint, load_checkpoint
from export.graph.build import export_graph, optimize_graph
from export.graph.token_type_mask import fold_token_types
from export.graph.weights import read_skeleton, write_model
from export.precision.float16 import (
    LARGEST,
    MASK,
    bound_constants,
    bound_fused_masks,
    convert_to_float16,
    nodes_out_of_range,
)
from export.precision.ranges import Feed, calibration_feeds, measure_ranges
from repository.inference import pad_batch
from tests.tiny_models import tiny_config
from tests.tiny_models import write_model as write_checkpoint

LENGTHS = (1, 2, 16, 17, 128, 512)
# Wide enough that the weights of a layer lie beside the graph, as in a real model.
WIDE = {"hidden_size": 160, "intermediate_size": 320, "max_position_embeddings": 512, "num_labels": 3}
GAIN = 1e5


def bert(gain: float | None = None) -> BertForSequenceClassification:
    torch.manual_seed(0)
    model = BertForSequenceClassification(tiny_config(**WIDE))
    if gain is not None:
        # One large channel, of a normalization whose output attention and the next normalization read.
        model.bert.encoder.layer[0].output.LayerNorm.weight.data[3] = gain
    return model


class Halved:
    """A checkpoint, its graph in float16, and the nodes of it that stayed float32."""

    def __init__(self, folder: Path, model: BertForSequenceClassification, fused: bool = True) -> None:
        self.checkpoint: Checkpoint = load_checkpoint(str(write_checkpoint(folder / "checkpoint", model)))
        raw = export_graph(self.checkpoint, folder)
        optimized = optimize_graph(raw, self.checkpoint.model.config) if fused else OnnxModel(read_skeleton(raw))
        fold_token_types(optimized.model)
        self.operators = {node.name: node.op_type for node in optimized.model.graph.node}
        self.kept = convert_to_float16(optimized, folder, feeds())
        self.path = folder / "version" / "model.onnx"
        self.path.parent.mkdir()
        write_model(optimized.model, self.path, folder)

    def run(self, feed: Feed) -> np.ndarray:
        session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        return session.run(["logits"], dict(feed))[0]

    def pytorch(self, feed: Feed) -> np.ndarray:
        with torch.inference_mode():
            inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
            return self.checkpoint.model(**inputs).logits.numpy()


@pytest.fixture(
    scope="module",
    params=[(None, True), (None, False), (GAIN, True), (GAIN, False)],
    ids=["ordinary", "not fused", "one gain of 1e5", "one gain of 1e5, not fused"],
)
def halved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Halved:
    gain, fused = request.param
    return Halved(tmp_path_factory.mktemp("halved"), bert(gain), fused)


@pytest.fixture(scope="module")
def gained(tmp_path_factory: pytest.TempPathFactory) -> Halved:
    return Halved(tmp_path_factory.mktemp("gained"), bert(GAIN))


def feeds() -> list[Feed]:
    generator = np.random.default_rng(0)
    sentences = [generator.integers(1000, 30000, length).tolist() for length in (3, 8, 20, 60)]
    return calibration_feeds(sentences, 0, 512, 30522)


def some_ids(length: int) -> Feed:
    generator = np.random.default_rng(length)
    rows = [generator.integers(1000, 30000, each).tolist() for each in (length, max(1, length // 2), length)]
    return pad_batch(rows, 0, length)


def half_tensors(path: Path, folder: Path) -> Iterator[tuple[str, Any]]:
    """Every float16 tensor inside the graph, as it is stored in float16 between two operators."""
    model = onnx.load(path)
    names = [name for node in model.graph.node for name in node.output if name and name != "logits"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    onnx.save(model, folder / "all.onnx")
    session = onnxruntime.InferenceSession(folder / "all.onnx", providers=["CPUExecutionProvider"])
    halves = [tensor.name for tensor in session.get_outputs() if tensor.type == "tensor(float16)"]
    for length in LENGTHS:
        yield from zip(halves, session.run(halves, dict(some_ids(length))), strict=True)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_gets_pytorch_s_labels(halved: Halved, length: int) -> None:
    feed = some_ids(length)
    logits, expected = halved.run(feed), halved.pytorch(feed)
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(logits - expected).max() < 0.1


def test_no_value_that_is_kept_in_float16_overflows(halved: Halved, tmp_path: Path) -> None:
    seen = 0
    for name, values in half_tensors(halved.path, tmp_path):
        seen += 1
        assert np.isfinite(values).all(), name
    assert seen > 10 * len(LENGTHS)


def test_a_row_of_nothing_but_padding_is_no_nan(halved: Halved) -> None:
    empty = {name: np.zeros((2, 16), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    assert np.isfinite(halved.run(empty)).all()


def test_only_the_operators_that_overflow_stay_float32(gained: Halved) -> None:
    kept = [gained.operators[name] for name in gained.kept]
    # The normalization with the gain, the two that read what it gives, and a product of that attention's values.
    assert sorted(kept) == ["Attention", "MatMul", "SkipLayerNormalization", "SkipLayerNormalization"]
    weights = {t.name: t.data_type for t in onnx.load(gained.path).graph.initializer}
    by_type = [list(weights.values()).count(kind) for kind in (TensorProto.FLOAT, TensorProto.FLOAT16)]
    assert 0 < by_type[0] < by_type[1]


def test_a_weight_that_float32_operators_read_is_not_rounded(gained: Halved) -> None:
    model = onnx.load(gained.path)
    (attention,) = (node for node in model.graph.node if node.name in gained.kept and node.op_type == "Attention")
    (weight,) = (t for t in model.graph.initializer if t.name == attention.input[1])
    queries = gained.checkpoint.model.bert.encoder.layer[1].attention.self.query.weight.detach().numpy()
    np.testing.assert_array_equal(numpy_helper.to_array(weight)[:, : len(queries)], queries.T)


@pytest.mark.parametrize("fused", [True, False])
def test_an_ordinary_model_is_float16_throughout(tmp_path: Path, fused: bool) -> None:
    half = Halved(tmp_path, bert(), fused)
    assert half.kept == []
    assert half.path.stat().st_size < 0.52 * (tmp_path / "raw.onnx.data").stat().st_size


def test_converted_without_measuring_the_same_model_overflows(tmp_path: Path) -> None:
    """What the measurement is for; it also shows that the tests above would see it."""
    checkpoint = load_checkpoint(str(write_checkpoint(tmp_path / "checkpoint", bert(GAIN))))
    optimized = optimize_graph(export_graph(checkpoint, tmp_path), checkpoint.model.config)
    write_model(optimized.model, tmp_path / "float32.onnx", tmp_path)
    optimized.model.CopyFrom(onnx.load(tmp_path / "float32.onnx"))
    optimized.convert_float_to_float16(keep_io_types=["logits"])
    onnx.save(optimized.model, tmp_path / "half.onnx")
    assert any(not np.isfinite(values).all() for _, values in half_tensors(tmp_path / "half.onnx", tmp_path))


def a_graph(nodes: list[Any], **weights: np.ndarray) -> onnx.ModelProto:
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "s"])
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", ids, [output], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_reach_is_the_largest_magnitude_over_all_inputs(tmp_path: Path) -> None:
    cast = helper.make_node("Cast", ["input_ids"], ["x"], name="cast", to=TensorProto.FLOAT)
    model = a_graph([cast, helper.make_node("Mul", ["x", "scale"], ["logits"], name="mul")], scale=np.float32([-2]))
    rows = [{"input_ids": np.array([[n]]), "attention_mask": np.array([[1]])} for n in (3, 9000, 4)]
    reach = measure_ranges(model, tmp_path, rows)
    assert reach == {"x": 9000.0, "logits": 18000.0}
    assert nodes_out_of_range(model, reach, tmp_path) == ["mul"], "18000 is nearer than a quarter to 65504"
    assert nodes_out_of_range(model, {"x": float("nan")}, tmp_path) == ["cast", "mul"]


def test_a_weight_past_the_range_keeps_its_operator_in_float32(tmp_path: Path) -> None:
    node = helper.make_node("Mul", ["input_ids", "gain"], ["logits"], name="mul")
    for gain, kept in ((LARGEST, []), (LARGEST + 100, ["mul"]), (-1e5, ["mul"])):
        large = np.full(20_000, gain, dtype=np.float32)
        write_model(a_graph([node], gain=large), tmp_path / "g.onnx", tmp_path, 1000)
        assert nodes_out_of_range(read_skeleton(tmp_path / "g.onnx"), {}, tmp_path) == kept


@pytest.mark.parametrize("value", [np.finfo(np.float32).min, -np.inf])
def test_mask_constants_become_finite_in_float16(value: float) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.float32(value)))
    filled = helper.make_node(
        "ConstantOfShape", ["input_ids"], ["f"], value=numpy_helper.from_array(np.float32([value]))
    )
    fused = helper.make_node("Attention", ["f"], ["logits"], domain="com.microsoft", mask_filter_value=float(value))
    causal = np.triu(np.full((4, 4), value, dtype=np.float32), 1)
    weight = np.float32([-1e5, 3.0])
    model = a_graph([constant, filled, fused], mask=np.nan_to_num(causal, nan=0.0, neginf=-np.inf), weight=weight)
    assert bound_constants(model.graph, MASK) == 3
    bound_fused_masks(model.graph.node)
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert (found["mask"] == np.triu(np.full((4, 4), MASK), 1)).all()
    assert (found["weight"] == weight).all(), "a weight is no mask"
    values = [numpy_helper.to_array(node.attribute[0].t) for node in model.graph.node[:2]]
    assert [each.item() for each in values] == [MASK, MASK]
    assert model.graph.node[2].attribute[0].f == MASK


def test_on_a_cpu_it_is_done_with_a_warning(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", bert())
    (tmp_path / "sentences.txt").write_text("budget plan\nlearn spanish at school\n")
    options = ["--output", str(tmp_path / "out"), "--data", str(tmp_path / "sentences.txt"), "--precision", "fp16"]
    result = CliRunner().invoke(app, [str(checkpoint), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "on a CPU it is slower than fp32" in result.stderr
