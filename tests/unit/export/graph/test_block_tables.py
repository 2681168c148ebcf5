"""A word embedding of whole numbers times a scale is stored as such, and the graph answers the same, bit by bit."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.graph.block_tables import holds_blocks, store_in_blocks
from export.graph.weights import write_model

ROWS, COLUMNS = 100, 96


def table(kind: str) -> Any:
    random = np.random.default_rng(0)
    numbers = random.integers(-7, 9, (ROWS, COLUMNS // 32, 32)).astype(np.float32)
    numbers[0] = 0  # padding often has no values
    numbers[1] = 6  # no number of the block is 1: the scale is not the smallest value
    if kind == "eight bits":
        numbers = random.integers(-127, 128, numbers.shape).astype(np.float32)
        numbers[..., 0] = 1
    scales = random.normal(0, 0.05, (ROWS, COLUMNS // 32, 1)).astype(np.float16).astype(np.float32)
    values = (numbers * scales).reshape(ROWS, COLUMNS)
    if kind == "one weight was trained":
        values[-1, -1] *= np.float32(1.001)
    return random.normal(0, 0.05, (ROWS, COLUMNS)).astype(np.float32) if kind == "plain" else values


def graph(values: Any) -> Any:
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    states = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", "sequence", COLUMNS])
    nodes = [
        helper.make_node("Gather", ["word", "input_ids"], ["found"]),
        helper.make_node("Neg", ["found"], ["states"]),
    ]
    made = helper.make_graph(nodes, "lookup", [ids], [states], [numpy_helper.from_array(values, "word")])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def states(path: Path) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ids = np.arange(ROWS, dtype=np.int64).reshape(4, ROWS // 4)
    return session.run(None, {"input_ids": ids})[0].reshape(ROWS, COLUMNS)


@pytest.mark.parametrize(("kind", "share"), [("blocks", 0.17), ("eight bits", 0.28)])
def test_a_table_of_blocks_takes_a_part_of_the_bytes_and_gives_the_same_bits(
    kind: str, share: float, tmp_path: Path
) -> None:
    model, values = graph(table(kind)), table(kind)
    (tmp_path / "weights").mkdir()
    assert holds_blocks(model, tmp_path / "weights")
    store_in_blocks(model, tmp_path / "weights")
    write_model(model, tmp_path / "model.onnx", tmp_path / "weights")
    np.testing.assert_array_equal(-states(tmp_path / "model.onnx"), values)
    assert stored_bytes(tmp_path / "model.onnx") < values.nbytes * share


@pytest.mark.parametrize("kind", ["plain", "one weight was trained"])
def test_any_other_table_is_rounded_where_that_is_asked_for(kind: str, tmp_path: Path) -> None:
    model, values = graph(table(kind)), table(kind)
    (tmp_path / "weights").mkdir()
    store_in_blocks(model, tmp_path / "weights", rounded=True)
    write_model(model, tmp_path / "model.onnx", tmp_path / "weights")
    largest = np.abs(values).reshape(-1, 32).max(axis=1)[:, None]
    off = np.abs(values + states(tmp_path / "model.onnx")).reshape(-1, 32)
    # Half a step, and what FLOAT16 takes from the step.
    assert (off <= largest * (0.5 / 127 + 2**-11) + 1e-12).all()
    assert stored_bytes(tmp_path / "model.onnx") < values.nbytes * 0.28


def stored_bytes(path: Path) -> int:
    """Of the table; what does not grow with it is left out."""
    tensors = [tensor for tensor in onnx.load(path).graph.initializer if tensor.name.startswith("word/")]
    return sum(numpy_helper.to_array(tensor).nbytes for tensor in tensors)


@pytest.mark.parametrize("kind", ["plain", "one weight was trained"])
def test_any_other_table_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    model = graph(table(kind))
    before = model.SerializeToString()
    assert not holds_blocks(model, tmp_path)
    store_in_blocks(model, tmp_path)
    assert model.SerializeToString() == before
