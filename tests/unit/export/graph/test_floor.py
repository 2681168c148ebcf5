"""Every exported graph loads in the oldest ONNX Runtime that has to read it, the pinned Triton image's."""

import json
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from export import ExportError
from export.checkpoint.load import load_checkpoint
from export.graph.build import check_graph
from export.graph.floor import FLOOR_FILE, floor, import_used_domains
from export.parity.measure import reference_answers
from export.version.build import build_version
from repository.manifest import MODEL_FILE, Precision
from tests.own_environments import ROOT, STAMP, EnvironmentMissingError, own_python
from tests.steps import no_step
from tests.tiny_models import write_architecture

LOAD = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
ids = numpy.ones((2, 5), dtype=numpy.int64)
assert numpy.isfinite(session.run(None, {"input_ids": ids, "attention_mask": ids})[0]).all()
"""


@pytest.fixture(scope="session")
def oldest() -> Path:
    """A Python with exactly the build that floor.json describes."""
    try:
        return own_python("floor")
    except EnvironmentMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=[(a, p) for a in ("bert", "roberta") for p in Precision], ids="-".join)
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    architecture, precision = request.param
    folder = tmp_path_factory.mktemp(architecture)
    checkpoint = load_checkpoint(str(write_architecture(folder / "checkpoint", architecture)))
    reference = reference_answers(checkpoint, ["a short one", "and one that is longer"], None, lambda _: None)
    build_version(checkpoint, precision, reference, reference.sentences, folder / "version", no_step)
    return folder / "version"


def test_every_precision_keeps_to_what_the_floor_knows(version: Path) -> None:
    model = onnx.load(version / MODEL_FILE)
    assert floor().violations(model) == []
    used = {node.domain or "ai.onnx" for node in model.graph.node}
    assert {entry.domain or "ai.onnx" for entry in model.opset_import} == used


def test_every_precision_loads_and_answers_in_the_floor_s_own_build(version: Path, oldest: Path) -> None:
    subprocess.run([oldest, "-c", LOAD, str(version / MODEL_FILE)], check=True, timeout=60)


def test_the_list_of_operators_is_what_that_build_reports(oldest: Path) -> None:
    command = [oldest, "-c", "import json, floor; print(json.dumps(floor.describe_runtime()))"]
    answer = subprocess.run(command, cwd=FLOOR_FILE.parent, check=True, timeout=60, capture_output=True, text=True)
    assert json.loads(answer.stdout) == json.loads(FLOOR_FILE.read_text())


def a_graph(**changes: object) -> onnx.ModelProto:
    """Inputs and output as Triton's config wants them, and one fused operator."""
    node = {"op_type": "Gelu", "inputs": ["x"], "outputs": ["logits"], "domain": "com.microsoft", **changes}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [helper.make_node("Cast", ["input_ids"], ["x"], to=TensorProto.FLOAT), helper.make_node(**node)]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence"])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "one", inputs, [output])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_a_graph_within_the_floor_is_passed(tmp_path: Path) -> None:
    onnx.save(a_graph(), tmp_path / MODEL_FILE)
    assert check_graph(tmp_path / MODEL_FILE) == (17, 8)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (a_graph(op_type="SwiGLU"), "operator com.microsoft.SwiGLU"),
        (a_graph(flavour=1), "attribute flavour of operator com.microsoft.Gelu"),
        (a_graph(inputs=["x", "x"]), "input 2 of operator com.microsoft.Gelu"),
        (a_graph(domain="com.example"), "operator com.example.Gelu"),
    ],
)
def test_an_operator_that_is_too_new_is_named(tmp_path: Path, model: onnx.ModelProto, named: str) -> None:
    onnx.save(model, tmp_path / MODEL_FILE)
    with pytest.raises(ExportError, match=r"ONNX Runtime 1\.19\.2\) does not know") as caught:
        check_graph(tmp_path / MODEL_FILE)
    assert named in str(caught.value)


def test_one_inside_a_branch_is_found_too() -> None:
    model = a_graph()
    branch = helper.make_graph([helper.make_node("SwiGLU", ["x"], ["y"], domain="com.microsoft")], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))
    assert floor().violations(model) == ["operator com.microsoft.SwiGLU"]


def test_a_newer_file_format_or_opset_is_named(tmp_path: Path) -> None:
    model = a_graph()
    model.ir_version = 11
    model.opset_import[0].version = 22
    onnx.save(model, tmp_path / MODEL_FILE)
    with pytest.raises(ExportError, match=r"IR version 11 \(at most 10\); opset 22 of ai\.onnx \(at most 21\)"):
        check_graph(tmp_path / MODEL_FILE)


def test_a_domain_that_no_operator_uses_is_not_imported() -> None:
    model = a_graph()
    model.opset_import.append(helper.make_opsetid("com.microsoft.experimental", 1))
    assert floor().violations(model) == ["operator domain com.microsoft.experimental"]
    import_used_domains(model)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17), ("com.microsoft", 1)]


def test_a_domain_that_fusion_forgot_to_import_is_added() -> None:
    model = a_graph()
    del model.opset_import[1]
    import_used_domains(model)
    assert ("com.microsoft", 1) in [(entry.domain, entry.version) for entry in model.opset_import]


def test_the_environment_is_made_once(oldest: Path) -> None:
    if oldest.parent.parent != ROOT / ".floor":
        pytest.skip("FLOOR_PYTHON names another one")
    stamp = ROOT / ".floor" / STAMP
    before = stamp.stat().st_mtime_ns
    assert own_python("floor") == oldest
    assert stamp.stat().st_mtime_ns == before


def test_a_build_that_cannot_be_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "floor.txt"
    lock.write_text(f"nothing @ file://{tmp_path}/nothing-1.0-py3-none-any.whl\n")
    monkeypatch.setattr("tests.own_environments.LOCKS", tmp_path)
    monkeypatch.delenv("FLOOR_PYTHON", raising=False)
    with pytest.raises(EnvironmentMissingError, match="cannot be installed: ERROR") as caught:
        own_python("floor", folder=tmp_path / "floor")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "floor" / STAMP).exists()
