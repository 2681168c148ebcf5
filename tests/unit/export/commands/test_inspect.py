"""`python -m export inspect` says what is inside a version, without PyTorch and without loading external data."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.commands.anatomy import Anatomy, dissect
from export.commands.versions import find_version
from repository.manifest import MODEL_FILE, Manifest, RepositoryError
from repository.store import ModelStore
from tests.tiny_models import write_classifier
from tests.version_folders import write_manifest, write_version

LABELS = ["Business", "Education", "Life"]
VOCABULARY, CHANNELS, POSITIONS, FEED_FORWARD = 30522, 32, 64, 64  # of the tiny checkpoint
EMBEDDING_VALUES = (VOCABULARY + POSITIONS + 2 + 2) * CHANNELS  # words, positions, types, LayerNorm's two rows
MATRIX_VALUES = 4 * CHANNELS * CHANNELS + 2 * CHANNELS * FEED_FORWARD
VECTOR_VALUES = 4 * CHANNELS + FEED_FORWARD + CHANNELS + 4 * CHANNELS  # biases, two LayerNorms


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("exported")
    checkpoint = write_classifier(root / "checkpoint", LABELS)
    # The tracer stores equal tensors once, and new biases are all zero.
    weights = load_file(checkpoint / "model.safetensors")
    moved = {name: value + 0.01 * torch.randn(value.shape) for name, value in weights.items()}
    save_file(moved, checkpoint / "model.safetensors", {"format": "pt"})
    (root / "sentences.txt").write_text("learn spanish\nbudget plan for the market\ndoctor family trip\n" * 4)
    for precision in ("fp32", "fp16", "int8"):
        options = ["--output", str(root / precision), "--data", str(root / "sentences.txt"), "--precision", precision]
        result = CliRunner().invoke(app, [str(checkpoint), *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return {precision: root / precision for precision in ("fp32", "fp16", "int8")}


def inspect(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["inspect", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def layers(folder: Path) -> dict[str, dict[str, int]]:
    return {layer.name: layer.bytes_by_format for layer in dissect(folder / MODEL_FILE).layers}


def operators(anatomy: Anatomy) -> dict[str, tuple[str, int, bool]]:
    return {operator.name: (operator.domain, operator.count, operator.fused) for operator in anatomy.operators}


def test_fused_operators_are_counted_and_marked(exported: dict[str, Path]) -> None:
    found = operators(dissect(exported["fp16"] / MODEL_FILE))
    assert found["Attention"] == ("com.microsoft", 2, True)
    assert found["SkipLayerNormalization"] == ("com.microsoft", 4, True)
    assert found["BiasGelu"] == ("com.microsoft", 2, True)
    assert found["EmbedLayerNormalization"] == ("com.microsoft", 1, True)
    assert found["MatMul"] == ("ai.onnx", 6, False)


def test_an_operator_of_the_standard_is_never_marked_as_fused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gelu", ["x"], ["y"]), helper.make_node("Gelu", ["y"], ["z"], domain="com.microsoft")]
    marks = {operator.domain: operator.fused for operator in dissect(write_model(tmp_path, nodes)).operators}
    assert marks == {"ai.onnx": False, "com.microsoft": True}


@pytest.mark.parametrize(("precision", "number_format", "width"), [("fp32", "float32", 4), ("fp16", "float16", 2)])
def test_every_layer_has_its_number_format_and_its_exact_size(
    exported: dict[str, Path], precision: str, number_format: str, width: int
) -> None:
    found = layers(exported[precision])
    assert list(found) == ["embeddings", "layer 0", "layer 1", "head"]
    assert found["layer 0"] == {number_format: (MATRIX_VALUES + VECTOR_VALUES) * width}
    # Which token the last layer goes on with.
    index = {"int64": 8} if precision == "fp32" else {}
    assert found["layer 1"] == found["layer 0"] | index
    assert found["embeddings"][number_format] == EMBEDDING_VALUES * width
    assert found["head"][number_format] == (CHANNELS * CHANNELS + CHANNELS + len(LABELS) * (CHANNELS + 1)) * width


def test_int8_layers_have_their_products_in_int8_but_for_those_that_stay_float32(exported: dict[str, Path]) -> None:
    found = layers(exported["int8"])
    # Of the last layer, what follows attention is computed for the first token alone, and stays float32.
    products = 7 * CHANNELS * CHANNELS + 2 * CHANNELS * FEED_FORWARD
    in_int8 = sum(found[layer]["int8"] for layer in ("layer 0", "layer 1"))
    # Of the others some stay; columns have scales and zero points.
    assert 0.8 * products <= in_int8 <= 1.3 * products
    assert found["embeddings"]["int8"] > 0.9 * VOCABULARY * CHANNELS


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_layers_add_up_to_the_file(exported: dict[str, Path], precision: str) -> None:
    graph = inspect(str(exported[precision]), "--json")["graph"]
    total = sum(graph["bytes_by_format"].values())
    assert total == sum(size for layer in graph["layers"] for size in layer["bytes_by_format"].values())
    assert 0 <= (exported[precision] / MODEL_FILE).stat().st_size - total < 60_000  # what is no weight: names, nodes
    assert sum(layer["operators"] for layer in graph["layers"]) == sum(kind["count"] for kind in graph["operators"])


def test_the_tables_name_what_a_reader_looks_for(exported: dict[str, Path]) -> None:
    text = inspect(str(exported["int8"]))
    for wanted in (
        "QAttention",
        "layer 0",
        "int8",
        "Business, Education, Life",
        "64 tokens",
        "com.microsoft 1",
    ):
        assert wanted in text
    assert "within what the pinned Triton reads" in text
    assert "label agreement" in text
    assert "torch 2." in text
    assert "layer 0 to 1, each" in inspect(str(exported["fp16"]))


def test_json_holds_the_manifest_the_graph_and_the_files(version: Path) -> None:
    found = inspect(str(version), "--json")
    assert found["manifest"] == Manifest.read(version).model_dump(mode="json")
    assert found["graph"]["inputs"] == [
        {"name": name, "type": "int64", "shape": ["batch", "sequence"]} for name in ("input_ids", "attention_mask")
    ]
    assert found["graph"]["outputs"] == [{"name": "logits", "type": "float32", "shape": ["batch", 2]}]
    assert found["graph"]["opsets"] == {"ai.onnx": 17}
    assert found["graph"]["layers"] == [
        {"name": "other", "operators": 5, "bytes_by_format": {"float32": 6 * 2 * 4, "int64": 2 * 8}}
    ]
    assert found["files"] == {path.name: path.stat().st_size for path in version.iterdir()}


@pytest.mark.parametrize(
    ("opset", "ir_version", "within"), [(17, 8, True), (21, 10, True), (22, 10, False), (21, 11, False)]
)
def test_a_graph_past_what_the_pinned_triton_reads_is_named(
    tmp_path: Path, opset: int, ir_version: int, within: bool
) -> None:
    path = write_model(tmp_path, [helper.make_node("Relu", ["x"], ["z"])], opset=opset, ir_version=ir_version)
    assert (dissect(path).past_triton_floor == []) is within


def test_external_data_is_sized_and_never_read(version: Path) -> None:
    inside = dissect(version / MODEL_FILE)
    model = onnx.load(version / MODEL_FILE)
    options = {"save_as_external_data": True, "location": "model.onnx.data", "size_threshold": 0}
    (version / MODEL_FILE).unlink()
    onnx.save(model, version / MODEL_FILE, **options)
    write_manifest(version, ["Animal", "Plant"])
    found = inspect(str(version), "--json")
    assert found["files"]["model.onnx.data"] == (version / "model.onnx.data").stat().st_size
    assert found["graph"]["bytes_by_format"] == inside.bytes_by_format
    (version / "model.onnx.data").unlink()
    found = inspect(str(version), "--json")
    assert found["files"]["model.onnx.data"] is None
    assert found["graph"]["bytes_by_format"] == inside.bytes_by_format
    assert "model.onnx.data missing" in inspect(str(version))


@pytest.mark.parametrize(
    ("weight", "output", "part"),
    [
        ("bert.encoder.layer.11.output.dense.bias", "/x", "layer 11"),
        ("onnx::MatMul_1", "/roberta/encoder/layer.3/output/dense/MatMul_output_0", "layer 3"),
        ("onnx::MatMul_1", "/transformer/h.2/attn/c_attn/MatMul_output_0", "layer 2"),
        ("model.layers.7.mlp.Wo.weight", "/x", "layer 7"),
        ("onnx::MatMul_1", "/model/decoder/layers.1/fc1/MatMul_output_0", "decoder layer 1"),
        ("onnx::MatMul_1", "/albert/encoder/albert_layer_groups.0/albert_layers.0/ffn/MatMul_output_0", "layer 0"),
        ("distilbert.embeddings.word_embeddings.weight", "/x", "embeddings"),
        ("classifier.0.weight", "/classifier/classifier.0/Gemm_output_0", "other"),
    ],
)
def test_weights_find_their_layer_by_the_names_of_many_architectures(
    tmp_path: Path, weight: str, output: str, part: str
) -> None:
    nodes = [helper.make_node("Add", ["x", weight], [output]), helper.make_node("Relu", [output], ["z"])]
    found = dissect(write_model(tmp_path, nodes, weights={weight: np.zeros(6, dtype=np.float32)}))
    assert {layer.name: layer.bytes_by_format for layer in found.layers}[part] == {"float32": 24}


def test_a_dequantized_weight_belongs_to_the_layer_it_feeds(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["packed", "scale"], ["weight"]),
        helper.make_node("Add", ["x", "weight"], ["/bert/encoder/layer.4/Add_output_0"]),
        helper.make_node("Relu", ["/bert/encoder/layer.4/Add_output_0"], ["z"]),
    ]
    weights = {"packed": np.zeros(6, dtype=np.int8), "scale": np.float32(1)}
    found = {layer.name: layer for layer in dissect(write_model(tmp_path, nodes, weights=weights)).layers}
    assert found["layer 4"].bytes_by_format == {"int8": 6, "float32": 4}
    assert found["layer 4"].operators == 2
    assert found["head"].operators == 1


def test_four_bit_weights_are_packed_two_to_a_byte(tmp_path: Path) -> None:
    packed = helper.make_tensor("w", TensorProto.INT4, [5], [1, 2, 3, 4, 5])
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["z"])]
    path = write_model(tmp_path, nodes, opset=21, ir_version=10, weights={"s": np.float32(1)}, tensors=[packed])
    assert dissect(path).bytes_by_format == {"float32": 4, "int4": 3}


def test_what_a_branch_holds_is_counted_too(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"])],
        "branch",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(3, dtype=np.float16), "unused")],
    )
    nodes = [helper.make_node("If", ["condition"], ["z"], then_branch=branch, else_branch=branch)]
    found = dissect(write_model(tmp_path, nodes, weights={"condition": np.array(True)}))
    assert operators(found)["Relu"][1] == 2
    assert found.bytes_by_format == {"float16": 12, "bool": 1}


def test_a_number_is_a_published_version_and_none_the_newest(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "repository"))
    monkeypatch.setenv("MODEL_NAME", "maps")
    with pytest.raises(ExportError, match="holds no version"):
        find_version(None)
    store = ModelStore(tmp_path / "repository", "maps")
    store.publish(version)
    store.publish(version)
    assert find_version(None) == store.folder / "2"
    assert find_version("1") == store.folder / "1"
    assert inspect("1", "--json")["folder"] == str(store.folder / "1")
    with pytest.raises(ExportError, match=r"version 7 of maps does not exist: .* holds 1, 2"):
        find_version("7")
    monkeypatch.setenv("MODEL_NAME", "a/b")
    with pytest.raises(ExportError, match="MODEL_NAME"):
        find_version(None)


def test_what_is_no_version_is_refused_in_one_line(version: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="neither a version folder nor a version number"):
        find_version(str(tmp_path / "nowhere"))
    with pytest.raises(RepositoryError, match="is no exported version folder"):
        CliRunner().invoke(app, ["inspect", str(tmp_path)], catch_exceptions=False)
    (version / MODEL_FILE).write_bytes(b"\xff not a graph")
    with pytest.raises(ExportError, match="is no ONNX graph"):
        dissect(version / MODEL_FILE)
    (version / MODEL_FILE).unlink()
    with pytest.raises(ExportError, match="is missing"):
        dissect(version / MODEL_FILE)


def test_inspect_and_diff_start_without_pytorch(version: Path, tmp_path: Path) -> None:
    (tmp_path / "sentences.txt").write_text("cat oak\n")
    script = (
        "import sys; from export.__main__ import app\n"
        f"app(['inspect', {str(version)!r}], standalone_mode=False)\n"
        f"app(['diff', {str(version)!r}, {str(version)!r}, '--data', {str(tmp_path / 'sentences.txt')!r}],"
        " standalone_mode=False)\n"
        "found = {'torch', 'transformers', 'optimum', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_shows_all_commands_and_the_export_needs_no_name(version: Path) -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(f"│ {wanted}" in shown.stdout for wanted in ("export ", "inspect ", "diff ", "profile "))
    # Options first, as a script may have it: still the export, which finds fault with the output folder.
    with pytest.raises(ExportError, match="is no version folder"):
        CliRunner().invoke(app, ["--output", str(version.parent), "checkpoint"], catch_exceptions=False)
    assert "Missing argument" in CliRunner().invoke(app, []).stderr


def write_model(
    folder: Path,
    nodes: list[onnx.NodeProto],
    opset: int = 17,
    ir_version: int = 8,
    weights: dict[str, Any] | None = None,
    tensors: list[onnx.TensorProto] | None = None,
) -> Path:
    """A graph `x` → `z` of these nodes; it is read here, never run."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "z")]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "test", values[:1], values[1:], [*initializers, *(tensors or [])])
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), folder / MODEL_FILE)
    return folder / MODEL_FILE
