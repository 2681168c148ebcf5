"""The embedded Triton's two sessions over one graph hold its weights once, and answer as sessions of their own do."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.places import ROOT

ROWS, WIDTH = 256, 3072
WEIGHTS_BYTES = 4 * WIDTH * WIDTH
CONFIG: dict[str, Any] = {"name": "classifier"}
MODULES = ("shared_weights", "ort_session")


@pytest.fixture
def shared_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The backend's module, which otherwise runs inside Triton's stub, with a folder for temporary files of its own."""
    utils = ModuleType("triton_python_backend_utils")
    utils.TritonModelException = RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utils)
    for module in MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(ROOT / "server" / "backends" / "onnxruntime"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    import shared_weights

    yield shared_weights
    for module in MODULES:
        del sys.modules[module]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`logits` = a row of a table, times a matrix that ONNX Runtime packs."""
    generator = np.random.default_rng(0)
    constants = {
        "table": generator.standard_normal((ROWS, WIDTH), np.float32),
        "matrix": generator.standard_normal((WIDTH, WIDTH), np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def open_apart(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answer(session: onnxruntime.InferenceSession) -> Any:
    return session.run(["logits"], {"ids": np.arange(40)})[0]


def test_no_thread_goes_on_computing_once_a_run_is_over(shared_weights: Any, graph: Path) -> None:
    session, _ = shared_weights.open_sessions(graph, CONFIG, (2, 1), complain)
    for _ in range(3):
        answer(session)
        before = time.process_time()
        time.sleep(0.1)
        assert time.process_time() - before < 0.005, "ONNX Runtime spins for some 30 ms by itself"


def memory_bytes() -> int:
    """What this process holds; a page that it maps twice counts once (PSS)."""
    (line,) = (line for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return 1024 * int(line.split()[1])


def complain(warning: str) -> None:
    pytest.fail(warning)


def test_two_sessions_hold_the_weights_once_and_answer_alike(shared_weights: Any, graph: Path, tmp_path: Path) -> None:
    apart = [open_apart(graph, threads) for threads in (2, 1)]
    expected = [answer(session) for session in apart]
    del apart
    before = memory_bytes()
    sessions = shared_weights.open_sessions(graph, CONFIG, (2, 1), complain)
    together = [answer(session) for session in sessions]
    # Two of their own hold the matrix twice; of the mapped file nobody touches the matrix as it was before packing.
    assert memory_bytes() - before < 1.5 * WEIGHTS_BYTES
    for ours, theirs in zip(together, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [session.get_session_options().intra_op_num_threads for session in sessions] == [2, 1]
    assert not list((tmp_path / "tmp").iterdir())


def test_without_room_each_session_holds_its_own(
    shared_weights: Any, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_weights, "_ROOM", 1e9)
    warnings: list[str] = []
    sessions = shared_weights.open_sessions(graph, CONFIG, (2, 1), warnings.append)
    np.testing.assert_array_equal(answer(sessions[0]), answer(open_apart(graph, 2)))
    (warning,) = warnings
    assert "held 2 times" in warning
    assert "MB free" in warning


def test_a_graph_that_cannot_be_opened_is_refused_in_onnx_runtimes_words(shared_weights: Any, tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(Exception, match=str(broken)):
        shared_weights.open_sessions(broken, CONFIG, (2, 1), complain)


def test_what_a_killed_process_left_is_removed_and_what_another_writes_stays(
    shared_weights: Any, graph: Path, tmp_path: Path
) -> None:
    abandoned, in_use = (tmp_path / "tmp" / f"triton-weights-{name}" for name in ("abandoned", "in-use"))
    for folder in (abandoned, in_use):
        folder.mkdir()
        (folder / "model.onnx.data").write_bytes(b"weights")
    descriptor = os.open(in_use, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        shared_weights.open_sessions(graph, CONFIG, (2, 1), complain)
    finally:
        os.close(descriptor)
    assert not abandoned.exists()
    assert in_use.exists()
