"""A version whose graph costs next to nothing, so that what is left is the gateway's own work."""

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from repository.config import ModelConfig
from repository.manifest import INPUTS, MODEL_FILE, OUTPUT, TOKENIZER_FILE, Manifest, digest_file
from repository.store import ModelStore

OF_OTHER_FILES = ("cascade", "calibration", "thresholds", "coverage")
"""What a manifest says of files, and of logits, that are not there."""


def publish_costless(version: Path, repository: Path, model_name: str) -> None:
    """Publish `version` with its tokenizer and labels, but a graph that adds up the ids and gives a constant."""
    manifest = Manifest.read(version)
    folder = repository / "costless"
    folder.mkdir(parents=True)
    shutil.copy(version / TOKENIZER_FILE, folder)
    onnx.save(_graph(len(manifest.labels)), folder / MODEL_FILE)
    files = {name: digest_file(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)}
    manifest.model_copy(update={"files": files, **dict.fromkeys(OF_OTHER_FILES)}).write(folder)
    store = ModelStore(repository, model_name)
    store.ensure_config(ModelConfig(model_name).to_pbtxt())
    store.publish(folder)
    shutil.rmtree(folder)  # Triton takes every folder of the repository for a model


def _graph(labels: int) -> onnx.ModelProto:
    """`logits[batch, labels]` = bias + 0 · the sum of `input_ids`."""
    nodes = [
        helper.make_node("Cast", [INPUTS[0]], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ids", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "bias"], [OUTPUT]),
    ]
    constants = {
        "axis": np.array([1]),
        "zero": np.zeros(1, np.float32),
        "bias": np.arange(labels, dtype=np.float32),
    }
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in INPUTS]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", labels])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "costless", inputs, [output], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
