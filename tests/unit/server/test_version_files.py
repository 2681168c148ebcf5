"""The embedded Triton uses a graph only if what it has read is what the manifest describes."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT


@pytest.fixture
def version_files(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend's module, which otherwise runs inside Triton's stub."""
    monkeypatch.syspath_prepend(str(ROOT / "server" / "backends" / "onnxruntime"))
    import version_files

    return version_files


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph with weights beside it, and the manifest of both."""
    for name in ("model.onnx", "model.onnx.data", "student.onnx"):
        (tmp_path / name).write_text(name)
    described = {path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in tmp_path.iterdir()}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": described}))
    return tmp_path / "model.onnx"


def test_the_files_of_the_manifest_have_no_fault(version_files: Any, graph: Path) -> None:
    assert version_files.find_fault(graph, version_files.stamps(graph)) is None


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data"])
def test_another_file_is_named(version_files: Any, graph: Path, name: str) -> None:
    graph.with_name(name).write_text("other")
    fault = version_files.find_fault(graph, version_files.stamps(graph))
    assert fault == f"{name} is not the file that manifest.json describes"


def test_the_files_of_another_graph_do_not_matter(version_files: Any, graph: Path) -> None:
    graph.with_name("student.onnx").write_text("other")
    assert version_files.find_fault(graph, version_files.stamps(graph)) is None
    student = graph.with_name("student.onnx")
    assert "student.onnx is not" in version_files.find_fault(student, version_files.stamps(student))


def test_a_file_that_was_whole_again_too_late_is_told(version_files: Any, graph: Path) -> None:
    content = graph.read_bytes()
    graph.write_text("damaged")
    before = version_files.stamps(graph)
    graph.write_bytes(content)
    os.utime(graph, ns=(1, 1))
    assert version_files.find_fault(graph, before) == "its files were changed while they were read"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"files": []}', '{"files": {"model.onnx": {}}}', None])
def test_a_manifest_that_is_damaged_or_missing_describes_nothing(
    version_files: Any, graph: Path, content: str | None
) -> None:
    """The gateway uses no such version; a good graph need not be refused until Triton reads it again."""
    graph.with_name("manifest.json").unlink()
    if content is not None:
        graph.with_name("manifest.json").write_text(content)
    assert version_files.find_fault(graph, version_files.stamps(graph)) is None
