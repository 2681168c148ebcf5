"""What stays float32 lies in the file as FLOAT16, and a session computes with float32 weights as before."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.graph.weights import store, write_model
from export.precision.int8.halves import store_as_halves

ROWS, COLUMNS = 160, 128


def graph(weights: Any, folder: Path, beside: bool) -> Any:
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", ROWS])
    states = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", COLUMNS])
    tensor = numpy_helper.from_array(weights, "weights")
    if beside:
        tensor = TensorProto(name="weights", dims=weights.shape, data_type=TensorProto.FLOAT)
        with (folder / "raw.data").open("wb") as stream:
            store(tensor, [weights.tobytes()], stream, "raw.data")
    bias = numpy_helper.from_array(np.full(COLUMNS, 1 / 3, np.float32), "bias")
    nodes = [
        helper.make_node("MatMul", ["tokens", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["states"]),
    ]
    made = helper.make_graph(nodes, "product", [tokens], [states], [tensor, bias])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("beside", [False, True], ids=["in the graph", "beside it"])
def test_large_weights_take_half_and_are_float32_once_the_graph_is_loaded(beside: bool, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    (tmp_path / "weights").mkdir()
    model = graph(weights, tmp_path / "weights", beside)
    store_as_halves(model, tmp_path / "weights")
    write_model(model, tmp_path / "model.onnx", tmp_path / "weights")
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert kinds == {"weights/halves": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    assert (tmp_path / "model.onnx").stat().st_size < 0.53 * weights.nbytes

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node] == ["Gemm"]
    tokens = np.eye(ROWS, dtype=np.float32)
    rounded = weights.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(session.run(None, {"tokens": tokens})[0], rounded + np.float32(1 / 3))


def test_weights_that_float16_cannot_hold_stay_as_they_are(tmp_path: Path) -> None:
    weights = np.full((ROWS, COLUMNS), 70000, np.float32)
    model = graph(weights, tmp_path, beside=False)
    before = model.SerializeToString()
    store_as_halves(model, tmp_path)
    assert model.SerializeToString() == before
