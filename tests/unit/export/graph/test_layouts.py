"""Plain and packed graphs answer as the fused one does, whatever is padded; a packed one computes no padding."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from transformers import AutoModelForSequenceClassification

from export import ExportError
from export.checkpoint.layout import Layout
from export.checkpoint.load import Checkpoint, load_checkpoint
from export.graph.build import check_graph, export_graph, optimize_graph
from export.graph.weights import write_model
from export.precision.formats import Calibration, write_precision
from export.precision.ranges import calibration_feeds
from repository.inference import Float32Array, Int64Array, pad_batch
from repository.manifest import Precision
from tests.tiny_architectures import tiny_config
from tests.tiny_models import ARCHITECTURES, PACKAGED_VOCABULARY, write_architecture
from tests.tiny_models import write_model as write_checkpoint

SHAPES = [(1, 1), (1, 5), (3, 16), (7, 40), (32, 24)]


@dataclass
class Graphs:
    """One tiny checkpoint in every layout."""

    checkpoint: Checkpoint
    paths: dict[Layout, Path]

    def ask(self, layout: Layout, feed: dict[str, Int64Array], output: str = "logits") -> Any:
        return _session(self.paths[layout]).run([output], feed)[0]


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def graphs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = load_checkpoint(str(write_architecture(folder / "checkpoint", request.param)))
    raw = export_graph(checkpoint, folder)
    paths = {}
    for layout in Layout:
        optimized = optimize_graph(raw, checkpoint.model.config, layout)
        optimized.topological_sort()
        paths[layout] = folder / f"{layout.value}.onnx"
        write_model(optimized.model, paths[layout], folder)
    return Graphs(checkpoint, paths)


@pytest.mark.parametrize(("batch", "length"), SHAPES)
def test_every_layout_answers_the_same_with_any_padding(graphs: Graphs, batch: int, length: int) -> None:
    feed = _feed(graphs.checkpoint, batch, length)
    expected = graphs.ask(Layout.FUSED, feed)
    for layout in (Layout.PLAIN, Layout.PACKED):
        assert np.abs(graphs.ask(layout, feed) - expected).max() < 1e-4


def test_a_packed_graph_computes_one_row_for_each_real_token(graphs: Graphs, tmp_path: Path) -> None:
    model = onnx.load(graphs.paths[Layout.PACKED])
    (first, *_) = [node for node in model.graph.node if node.op_type == "BiasGelu"]
    model.graph.output.append(helper.make_tensor_value_info(first.output[0], TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "probed.onnx")
    feed = _feed(graphs.checkpoint, 7, 40)
    rows = _session(tmp_path / "probed.onnx").run([first.output[0]], feed)[0]
    assert len(rows) == feed["attention_mask"].sum() < feed["attention_mask"].size


def test_a_sentence_of_a_packed_graph_does_not_see_its_company(graphs: Graphs) -> None:
    feed = _feed(graphs.checkpoint, 6, 24)
    together = graphs.ask(Layout.PACKED, feed)
    for row in range(6):
        length = int(feed["attention_mask"][row].sum())
        alone = {name: value[row : row + 1, :length] for name, value in feed.items()}
        assert np.abs(graphs.ask(Layout.PACKED, alone) - together[row]).max() < 1e-5


def test_nothing_but_padding_has_finite_answers(graphs: Graphs) -> None:
    zeros = np.zeros((8, 32), np.int64)  # what Triton warms a version up with
    for layout in Layout:
        assert np.isfinite(graphs.ask(layout, {"input_ids": zeros, "attention_mask": zeros})).all()


def test_a_plain_graph_has_operators_of_the_standard_alone(graphs: Graphs) -> None:
    assert {node.domain for node in onnx.load(graphs.paths[Layout.PLAIN]).graph.node} == {""}


def test_the_oldest_runtime_knows_a_packed_graph(graphs: Graphs) -> None:
    check_graph(graphs.paths[Layout.PACKED])  # raises what the pinned Triton does not know


def test_a_packed_graph_in_float16_answers_within_three_digits(graphs: Graphs, tmp_path: Path) -> None:
    checkpoint = graphs.checkpoint
    ids = [list(range(5, 5 + length)) for length in (1, 4, 16, 40)]
    feeds = calibration_feeds(ids, checkpoint.pad_token_id, checkpoint.max_length, 1000)
    raw = graphs.paths[Layout.FUSED].parent / "raw.onnx"
    optimized = optimize_graph(raw, checkpoint.model.config, Layout.PACKED)
    calibration = Calibration([], feeds, checkpoint.pad_token_id)
    write_precision(optimized, Precision.FP16, tmp_path / "half.onnx", raw.parent, calibration, _no_progress)  # type: ignore[arg-type]
    feed = _feed(checkpoint, 7, 40)
    half = _session(tmp_path / "half.onnx").run(None, feed)[0]
    assert np.abs(half - graphs.ask(Layout.FUSED, feed)).max() < 0.1
    types = {tensor.data_type for tensor in onnx.load(tmp_path / "half.onnx").graph.initializer if len(tensor.dims) > 1}
    assert TensorProto.FLOAT16 in types


def test_tokens_of_a_second_text_stay_such(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(write_architecture(tmp_path / "bert", "bert")))
    raw = export_graph(checkpoint, tmp_path)
    feed = pad_batch([[5, 6, 7, 8], [9, 10]], checkpoint.pad_token_id, masks=[[1, 1, 2, 2], [1, 2]])
    answers: list[Float32Array] = []
    for layout in Layout:
        optimized = optimize_graph(raw, checkpoint.model.config, layout)
        optimized.topological_sort()
        write_model(optimized.model, tmp_path / f"{layout.value}.onnx", tmp_path)
        answers.append(_session(tmp_path / f"{layout.value}.onnx").run(None, feed)[0])
    ones = {**feed, "attention_mask": np.minimum(feed["attention_mask"], 1)}
    one_text = _session(tmp_path / "packed.onnx").run(None, ones)[0]
    assert np.abs(answers[1] - answers[0]).max() < 1e-4
    assert np.abs(answers[2] - answers[0]).max() < 1e-4
    assert np.abs(one_text - answers[2]).max() > 1e-3


def test_attention_that_is_not_fused_cannot_be_packed(tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_config(
        tiny_config("mpnet", num_labels=3, vocab_size=PACKAGED_VOCABULARY)
    )
    checkpoint = load_checkpoint(str(write_checkpoint(tmp_path / "mpnet", model)))
    with pytest.raises(ExportError, match="attention is not fused"):
        optimize_graph(export_graph(checkpoint, tmp_path), checkpoint.model.config, Layout.PACKED)


def _feed(checkpoint: Checkpoint, batch: int, length: int) -> dict[str, Int64Array]:
    chance = np.random.default_rng(batch * length)
    mask = np.zeros((batch, length), np.int64)
    for row in range(batch):
        mask[row, : chance.integers(1, length + 1)] = 1
    ids = np.where(mask == 1, chance.integers(5, 1000, (batch, length)), checkpoint.pad_token_id)
    return {"input_ids": ids, "attention_mask": mask}


def _session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _no_progress(*_: object) -> None:
    raise AssertionError("float16 has no steps to show")
