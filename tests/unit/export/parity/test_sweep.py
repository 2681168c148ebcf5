"""A graph that is wrong at one length, in one batch size or for some ids only is found and named with that shape."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from transformers import AlbertConfig, BertConfig, PretrainedConfig

from export.checkpoint.load import Checkpoint, load_checkpoint
from export.parity import sweep
from export.parity.cost import cost_of
from export.parity.report import Placement, Source
from export.parity.sweep import SweepTexts, ask_pytorch, ladder, sweep_violations
from repository.manifest import MODEL_FILE, Precision
from repository.tolerances import TOLERANCES, Provider
from tests.steps import no_step
from tests.tiny_exports import TEXTS, export, write_source
from tests.tiny_models import PAD, VOCABULARY, word_tokenizer, write_any_classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(str(folder / "classifier"))


@pytest.fixture(scope="module")
def texts(checkpoint: Checkpoint) -> SweepTexts:
    return ask_pytorch(checkpoint, TEXTS, no_step)


@pytest.fixture(scope="module")
def version(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("version") / "fp32"
    export(folder, output)
    return output


def break_graph(source: Path, target: Path, axis: int, size: int, wrong: float) -> Path:
    """The same graph, but `wrong` is added to the first logit whenever one axis of the input has this size."""
    target.mkdir()
    model = onnx.load(source / MODEL_FILE)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["right" if name == "logits" else name for name in node.output]
    constants = {"axis": np.array(axis), "size": np.array(size), "wrong": np.array([wrong, 0, 0], dtype=np.float32)}
    graph.initializer.extend(numpy_helper.from_array(value, f"fault_{name}") for name, value in constants.items())
    zeros = numpy_helper.from_array(np.zeros(3, dtype=np.float32), "fault_zeros")
    graph.initializer.append(zeros)
    graph.node.extend(
        [
            helper.make_node("Shape", ["input_ids"], ["fault_shape"]),
            helper.make_node("Gather", ["fault_shape", "fault_axis"], ["fault_here"]),
            helper.make_node("Equal", ["fault_here", "fault_size"], ["fault_now"]),
            helper.make_node("Where", ["fault_now", "fault_wrong", "fault_zeros"], ["fault"]),
            helper.make_node("Add", ["right", "fault"], ["logits"]),
        ]
    )
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.save(model, target / MODEL_FILE)
    return target


def test_the_ladder_goes_from_one_token_to_the_limit() -> None:
    assert ladder(512) == [1, 2, 3, 8, 13, 16, 17, 32, 64, 128, 256, 512]
    assert ladder(514)[-2:] == [512, 514]
    assert ladder(1) == [1]


def test_texts_have_their_length_and_are_framed_as_sentences_are(texts: SweepTexts, checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    assert list(texts.by_length) == ladder(64)
    for length, found in texts.by_length.items():
        assert {len(text.ids) for text in found} == {length}
        assert {text.ids[0] for text in found} == {tokenizer.cls_token_id}
        if length > 1:
            assert {text.ids[-1] for text in found} == {tokenizer.sep_token_id}
        assert {text.source for text in found} == {Source.REAL, Source.RANDOM}
        assert not any(tokenizer.pad_token_id in text.ids for text in found)


def test_a_sound_graph_is_asked_in_every_shape_and_has_nothing_to_report(
    version: Path, checkpoint: Checkpoint, texts: SweepTexts
) -> None:
    found = sweep.sweep(version, checkpoint, texts, no_step)
    assert not found.skipped
    asked = {(cell.length, cell.batch, cell.placement) for cell in found.cells}
    for length in ladder(64):
        assert {(length, batch, Placement.BATCHED) for batch in (2, 7, 64)} < asked
        assert (length, 1, Placement.ALONE) in asked
        assert (length, 9, Placement.LONG_NEIGHBOURS) in asked
        assert (length == 64) == ((length, 8, Placement.PADDED) not in asked)
    assert all(cell.max_logit_difference is not None and cell.max_logit_difference < 1e-4 for cell in found.cells)
    for precision in Precision:
        assert sweep_violations(found, TOLERANCES[Provider.CPU, precision]) == []


@pytest.mark.parametrize(
    ("axis", "size", "shape"), [(1, 17, "length 17, batch"), (0, 64, "batch 64, batched"), (1, 64, "length")]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_fault_of_one_shape_is_found_and_named(
    version: Path,
    checkpoint: Checkpoint,
    texts: SweepTexts,
    tmp_path: Path,
    axis: int,
    size: int,
    shape: str,
    precision: str,
) -> None:
    broken = break_graph(version, tmp_path / "broken", axis, size, 50.0)
    found = sweep_violations(
        sweep.sweep(broken, checkpoint, texts, no_step), TOLERANCES[Provider.CPU, Precision(precision)]
    )
    assert found
    assert any(shape in reason for reason in found), found


def test_int8_may_be_off_no_further_in_long_texts_than_in_sentences(
    version: Path, checkpoint: Checkpoint, texts: SweepTexts, tmp_path: Path
) -> None:
    tolerance = TOLERANCES[Provider.CPU, Precision.INT8]
    broken = break_graph(version, tmp_path / "broken", 1, 64, 0.45)
    found = sweep.sweep(broken, checkpoint, texts, no_step)
    (reason,) = sweep_violations(found, tolerance, on_sentences=0.1)
    assert reason.startswith("logit difference 0.45 (length ")
    assert "real text), 0.3 allowed" in reason
    # Only a difference that sentences have too is one that their labels were looked at with.
    assert sweep_violations(found, tolerance, on_sentences=0.2) == []


def test_what_is_no_number_is_a_violation_in_every_precision(
    version: Path, checkpoint: Checkpoint, texts: SweepTexts, tmp_path: Path
) -> None:
    broken = break_graph(version, tmp_path / "broken", 1, 13, float("nan"))
    found = sweep.sweep(broken, checkpoint, texts, no_step)
    for precision in Precision:
        (reason,) = sweep_violations(found, TOLERANCES[Provider.CPU, precision])
        assert "no finite numbers (length 13" in reason


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_what_the_budget_does_not_reach_for_is_listed_and_depends_on_the_model_alone(
    version: Path, checkpoint: Checkpoint, texts: SweepTexts, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    everything = sweep.sweep(version, checkpoint, texts, no_step)
    whole = sum(texts.cost.of(cell.batch, cell.length) for cell in everything.cells)
    monkeypatch.setattr(sweep, "BUDGET_FLOP", share * whole)
    found, again = (sweep.sweep(version, checkpoint, texts, no_step) for _ in range(2))
    assert found == again
    assert (found.cells == []) == (share == 0)
    assert len(found.cells) < len(everything.cells)
    assert "length 64, batch 64, batched: too costly" in found.skipped


def test_pytorch_is_asked_at_the_limit_first_and_never_for_more_than_half_of_the_budget(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(str(folder / "classifier"))
    cost = cost_of(checkpoint)
    at_limit = cost.of(sweep.TEXTS, 64)
    monkeypatch.setattr(sweep, "BUDGET_FLOP", 3.0 * at_limit)
    asked = ask_pytorch(checkpoint, TEXTS, no_step)
    assert 64 in asked.by_length
    assert not asked.skipped
    monkeypatch.setattr(sweep, "BUDGET_FLOP", 1.9 * at_limit)
    asked = ask_pytorch(checkpoint, TEXTS, no_step)
    assert asked.skipped == ["length 64: too costly to ask PyTorch"]


@pytest.mark.parametrize("config", [BertConfig, AlbertConfig])
def test_the_cost_counts_each_layer_even_if_they_share_their_weights(
    tmp_path: Path, config: type[PretrainedConfig]
) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 64}
    settings = {**sizes, "embedding_size": 32, "vocab_size": VOCABULARY, "max_position_embeddings": 40}
    source = write_any_classifier(tmp_path / "c", config(**settings, pad_token_id=PAD), word_tokenizer())
    cost = cost_of(load_checkpoint(str(source)))
    products = 4 * 32 * 32 + 2 * 32 * 64  # queries, keys, values and what follows them; up and down again
    assert cost.token == pytest.approx(6 * 2 * products, rel=0.05)  # and a little for embeddings, pooler and head
    assert cost.of(3, 40) == pytest.approx(3 * (40 * cost.token + 6 * 4 * 32 * 40 * 40))
