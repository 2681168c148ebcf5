"""Past protobuf's limit the weights lie beside the graph; a small limit forces it on a small model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.checkpoint.load import load_checkpoint
from export.graph.weights import EMBEDDED_LIMIT_BYTES, pieces, read_skeleton, read_structure, write_model
from export.parity.measure import Reference, reference_answers
from export.version.build import build_version
from repository.manifest import MODEL_FILE, Manifest, Precision, RepositoryError
from repository.store import ModelStore
from tests.steps import no_step
from tests.tiny_models import write_architecture

DATA_FILE = f"{MODEL_FILE}.data"
SENTENCES = ["budget plan", "learn spanish at school with a doctor", "a family trip"]


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_architecture(tmp_path_factory.mktemp("checkpoint") / "bert", "bert")


@pytest.fixture(scope="module")
def reference(checkpoint_folder: Path) -> Reference:
    return reference_answers(load_checkpoint(str(checkpoint_folder)), SENTENCES, None, lambda _: None)


def export(checkpoint: Path, reference: Reference, output: Path, limit: int, precision: Precision) -> Manifest:
    loaded = load_checkpoint(str(checkpoint))
    build_version(loaded, precision, reference, reference.sentences, output, no_step, embedded_limit_bytes=limit)
    return Manifest.read(output)


def answer(folder: Path) -> np.ndarray:
    ids = np.arange(1000, 1024).reshape(2, 12)
    session = onnxruntime.InferenceSession(folder / MODEL_FILE)
    return session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


@pytest.mark.parametrize("precision", list(Precision))
def test_weights_beside_the_graph_are_listed_and_answer_the_same(
    checkpoint_folder: Path, reference: Reference, tmp_path: Path, precision: Precision
) -> None:
    beside = export(checkpoint_folder, reference, tmp_path / "beside", 100_000, precision)
    within = export(checkpoint_folder, reference, tmp_path / "within", EMBEDDED_LIMIT_BYTES, precision)
    assert set(beside.files) - set(within.files) == {DATA_FILE}
    assert beside.files[MODEL_FILE].size_bytes < 100_000 < beside.files[DATA_FILE].size_bytes
    beside.verify_files(tmp_path / "beside")
    np.testing.assert_array_equal(answer(tmp_path / "beside"), answer(tmp_path / "within"))


@pytest.mark.parametrize("limits", [(100_000, EMBEDDED_LIMIT_BYTES), (EMBEDDED_LIMIT_BYTES, 100_000)])
def test_nothing_of_the_other_form_is_left_when_exported_again(
    checkpoint_folder: Path, reference: Reference, tmp_path: Path, limits: tuple[int, int]
) -> None:
    for limit in limits:
        manifest = export(checkpoint_folder, reference, tmp_path / "version", limit, Precision.FP32)
        assert {path.name for path in (tmp_path / "version").iterdir()} == {*manifest.files, "manifest.json"}
        assert (DATA_FILE in manifest.files) == (limit == 100_000)
        manifest.verify_files(tmp_path / "version")
        assert np.isfinite(answer(tmp_path / "version")).all()


def test_both_files_are_published_and_a_changed_weight_is_noticed(
    checkpoint_folder: Path, reference: Reference, tmp_path: Path
) -> None:
    export(checkpoint_folder, reference, tmp_path / "version", 100_000, Precision.FP32)
    store = ModelStore(tmp_path / "repository", "classifier")
    number = store.publish(tmp_path / "version")
    published = store.folder / str(number)
    store.verify(number)
    np.testing.assert_array_equal(answer(published), answer(tmp_path / "version"))
    with (published / DATA_FILE).open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"\xff")
    with pytest.raises(RepositoryError, match=DATA_FILE):
        store.verify(number)
    (published / DATA_FILE).unlink()
    with pytest.raises(RepositoryError, match=DATA_FILE):
        store.verify(number)


def two_weights() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A graph with a large and a small weight."""
    generator = np.random.default_rng(0)
    weights = {
        "large": generator.normal(size=(300, 200)).astype(np.float32),
        "small": generator.normal(size=200).astype(np.float32),
    }
    nodes = [helper.make_node("MatMul", ["x", "large"], ["y"]), helper.make_node("Add", ["y", "small"], ["z"])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, width]) for name, width in (("x", 300), ("z", 200))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), weights


@pytest.mark.parametrize("limit", [1000, EMBEDDED_LIMIT_BYTES])
def test_what_is_written_in_pieces_is_what_onnx_reads(tmp_path: Path, limit: int) -> None:
    model, weights = two_weights()
    write_model(model, tmp_path / "first.onnx", tmp_path, limit)
    # And once more, from weights that lie beside the graph.
    write_model(onnx.load(tmp_path / "first.onnx", load_external_data=False), tmp_path / "second.onnx", tmp_path)
    onnx.checker.check_model(tmp_path / "second.onnx", full_check=True)
    for path in (tmp_path / "first.onnx", tmp_path / "second.onnx"):
        read = onnx.load(path)
        assert {t.name: numpy_helper.to_array(t).tolist() for t in read.graph.initializer} == {
            name: value.tolist() for name, value in weights.items()
        }
        assert [node.op_type for node in read.graph.node] == ["MatMul", "Add"]


def test_a_constant_that_lies_beside_the_graph_is_taken_in(tmp_path: Path) -> None:
    """ONNX Runtime's quantizer writes those of a kilobyte and more into its data file."""
    value = np.arange(1000, dtype=np.int64)
    node = helper.make_node("Constant", [], ["z"], value=numpy_helper.from_array(value, "z"))
    output = helper.make_tensor_value_info("z", TensorProto.INT64, [1000])
    model = helper.make_model(helper.make_graph([node], "constant", [], [output]), ir_version=8)
    options = {"save_as_external_data": True, "convert_attribute": True, "size_threshold": 1000}
    (tmp_path / "scratch").mkdir()
    onnx.save(model, tmp_path / "scratch" / "beside.onnx", location="beside.onnx.data", **options)
    write_model(read_skeleton(tmp_path / "scratch" / "beside.onnx"), tmp_path / MODEL_FILE, tmp_path / "scratch")
    read = onnx.load(tmp_path / MODEL_FILE)
    assert (numpy_helper.to_array(read.graph.node[0].attribute[0].t) == value).all()


def test_data_of_an_older_file_is_removed(tmp_path: Path) -> None:
    write_model(two_weights()[0], tmp_path / MODEL_FILE, tmp_path, 1000)
    assert (tmp_path / DATA_FILE).is_file()
    write_model(two_weights()[0], tmp_path / MODEL_FILE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]


def test_the_structure_of_a_graph_is_read_without_its_large_weights(tmp_path: Path) -> None:
    model, _ = two_weights()
    write_model(model, tmp_path / MODEL_FILE, tmp_path)
    structure = read_structure(tmp_path / MODEL_FILE)
    assert [tensor.name for tensor in structure.graph.initializer] == ["small"]
    assert structure.graph.node == model.graph.node
    assert (structure.ir_version, structure.opset_import) == (model.ir_version, model.opset_import)


def test_a_data_file_that_was_cut_is_noticed_while_it_is_copied(tmp_path: Path) -> None:
    model, _ = two_weights()
    write_model(model, tmp_path / MODEL_FILE, tmp_path, 1000)
    data = (tmp_path / DATA_FILE).read_bytes()
    (tmp_path / DATA_FILE).write_bytes(data[:-1])
    stored = onnx.load(tmp_path / MODEL_FILE, load_external_data=False).graph.initializer
    with pytest.raises(EOFError, match="large"):
        [list(pieces(tensor, tmp_path)) for tensor in stored]
