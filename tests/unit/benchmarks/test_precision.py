"""The baseline that precisions are measured against is a graph that answers right, and a speedup says who is faster."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.measure.plain_export import export_plainly
from benchmarks.measure.precision import Variant, compare_precisions, run_resident
from benchmarks.report.render import precision_table
from export.checkpoint.load import Checkpoint, load_checkpoint
from repository.manifest import MODEL_FILE
from tests.tiny_models import write_classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("checkpoint") / "classifier", ["a", "b", "c"])


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(str(folder))


@pytest.fixture(scope="module")
def plain(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / MODEL_FILE
    export_plainly(checkpoint, path)
    return path


@pytest.mark.parametrize(("batch", "length"), [(1, 5), (3, 16), (7, 64)])
def test_the_plain_graph_answers_as_pytorch_does(plain: Path, checkpoint: Checkpoint, batch: int, length: int) -> None:
    ids = np.random.default_rng(0).integers(1000, 30000, (batch, length))
    mask = np.ones_like(ids)
    mask[1:, 4:] = 0
    logits = onnxruntime.InferenceSession(plain).run(None, {"input_ids": ids, "attention_mask": mask})[0]
    with torch.inference_mode():
        expected = checkpoint.model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).logits.numpy()
    assert np.abs(logits - expected).max() < 1e-4


def test_the_plain_graph_has_no_fused_operator(plain: Path) -> None:
    assert {node.domain for node in onnx.load(plain).graph.node} == {""}


def test_a_speedup_is_above_one_for_what_is_faster() -> None:
    plain = Variant("plain", latencies_ms=[4.0, 6.0], per_second=[100.0, 50.0])
    ours = Variant("fp32", latencies_ms=[2.0, 4.0], per_second=[150.0, 100.0])
    assert ours.speedups(plain) == ([1.5, 2.0], [1.5, 2.0])
    assert plain.speedups(ours) == ([0.5, 4 / 6], [0.5, 100 / 150])


def test_inputs_that_lie_on_the_device_are_run_one_by_one(plain: Path) -> None:
    ids = np.full((2, 5), 1000)
    session = onnxruntime.InferenceSession(plain)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    assert len([seconds for seconds in run_resident(session, "cpu", [feed, feed]) if seconds > 0]) == 2


def test_every_precision_is_a_row_with_figures_or_with_the_reason_why_not(folder: Path, tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("\n".join(f"a sentence about number {number}" for number in range(40)))
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    found = compare_precisions(str(folder), sentences, ["one", "two words"] * 20, 1, graphs, lambda _: None)
    rows = {row[0]: row[1:] for row in precision_table(found).rows}
    assert list(rows) == ["plain", "fp32", "fp16", "int8", "fp16, inputs on the card", "fp16, TensorRT"]
    assert rows["plain"][0].endswith(" ms")
    assert all(rows["fp32"][:6])
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert rows["fp16"][0] == rows["fp16, inputs on the card"][0] == "not measured here: no CUDA"
