"""A real Triton, started by `python -m server`, with graphs small enough to know every answer beforehand."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.integration.ports import free_ports
from tests.places import ROOT

VOCABULARY = 10
CONFIG = """
name: "tiny"
backend: "onnxruntime"
max_batch_size: 16
input [
  { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] },
  { name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }
]
output [ { name: "logits" data_type: TYPE_FP32 dims: [ -1 ] } ]
version_policy { latest { num_versions: 2 } }
dynamic_batching { max_queue_delay_microseconds: 20000 }
instance_group [ { kind: KIND_CPU count: 1 } ]
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
model_warmup [ {
  name: "one"
  batch_size: 1
  inputs { key: "input_ids" value { data_type: TYPE_INT64 dims: [ 4 ] zero_data: true } }
  inputs { key: "attention_mask" value { data_type: TYPE_INT64 dims: [ 4 ] zero_data: true } }
} ]
"""

Ids = list[list[int]]


def weights(labels: int) -> np.ndarray:
    return (np.arange(VOCABULARY * labels, dtype=np.float32).reshape(VOCABULARY, labels) - 7) / 8


def write_graph(path: Path, labels: int) -> None:
    """A classifier whose logits are the sum of its tokens' rows of `weights`, exact in float32."""
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "sequence"], ["logits"], keepdims=0),
    ]
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            numpy_helper.from_array(weights(labels), "weights"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "sequence"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def publish(repository: Path, version: int, labels: int = 3) -> None:
    """Written aside and renamed into place, as repository.publish does."""
    model = repository / "tiny"
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.pbtxt").write_text(CONFIG) if not (model / "config.pbtxt").exists() else None
    aside = repository.parent / f"aside-{version}"
    aside.mkdir()
    write_graph(aside / "model.onnx", labels)
    aside.rename(model / str(version))


def expected(ids: Ids, mask: Ids, labels: int = 3) -> np.ndarray:
    return np.asarray((weights(labels)[np.array(ids)] * np.array(mask)[..., None]).sum(axis=1))


class RunningTriton:
    """`python -m server` on free ports, and what a test asks of it."""

    def __init__(self, repository: Path, log: Path) -> None:
        self.repository = repository
        self.log = log
        http, grpc, metrics = free_ports(3)
        self.url = f"http://127.0.0.1:{http}"
        self.env = os.environ | {
            "MODEL_REPOSITORY": str(repository),
            "TRITON_KIND": "embedded",
            "TRITON_HTTP_PORT": str(http),
            "TRITON_GRPC_PORT": str(grpc),
            "TRITON_METRICS_PORT": str(metrics),
        }
        self.shm_before = set(Path("/dev/shm").iterdir())
        with log.open("w") as out:
            self.process = subprocess.Popen([sys.executable, "-m", "server"], cwd=ROOT, env=self.env, stderr=out)

    def wait_until_serving(self, version: int = 1, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/v2/models/tiny/versions/{version}/ready").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        pytest.fail(f"version {version} is not served after {timeout_s} s:\n{self.log.read_text()}")

    def infer(self, ids: Ids, mask: Ids | None = None, version: int = 1) -> httpx.Response:
        mask = mask or np.ones_like(ids).tolist()
        shape = list(np.array(ids).shape)
        tensors = {"input_ids": ids, "attention_mask": mask}
        inputs = [{"name": n, "datatype": "INT64", "shape": shape, "data": d} for n, d in tensors.items()]
        url = f"{self.url}/v2/models/tiny/versions/{version}/infer"
        return httpx.post(url, json={"inputs": inputs}, timeout=20)

    def logits(self, ids: Ids, mask: Ids | None = None, version: int = 1) -> np.ndarray:
        answer = self.infer(ids, mask, version)
        assert answer.status_code == 200, answer.text
        output = answer.json()["outputs"][0]
        return np.array(output["data"], dtype=np.float32).reshape(output["shape"])

    def pids(self, program: str = "") -> list[int]:
        """Every living process of this run: Triton and its stubs carry the repository's path in their command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_text()
            except OSError:
                continue
            if str(self.repository) in command and program in command.split("\0")[0]:
                found.append(int(folder.name))
        return found

    def leftovers(self) -> list[str]:
        left = [f"process {pid}" for pid in self.pids()]
        return left + [str(path) for path in set(Path("/dev/shm").iterdir()) - self.shm_before]

    def wait_until_nothing_is_left(self, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while self.leftovers() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.leftovers() == []

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RunningTriton]:
    started = RunningTriton(folder / "models", folder / "log")
    try:
        started.wait_until_serving()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    folder = tmp_path_factory.mktemp("serving")
    publish(folder / "models", 1)
    with running(folder) as started:
        yield started


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[RunningTriton]:
    """One for a test that ends it."""
    publish(tmp_path / "models", 1)
    with running(tmp_path) as started:
        yield started


def executions(triton: RunningTriton) -> int:
    stats = httpx.get(f"{triton.url}/v2/models/tiny/versions/1/stats").json()["model_stats"][0]
    return int(stats["execution_count"])


def test_requests_that_are_joined_each_get_their_own_values(triton: RunningTriton) -> None:
    chance = np.random.default_rng(1)
    asked = [chance.integers(0, VOCABULARY, (1 + i % 3, 6)).tolist() for i in range(60)]
    masks = [chance.integers(0, 2, np.array(ids).shape).tolist() for ids in asked]
    before = executions(triton)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(triton.logits, asked, masks))
    for ids, mask, answer in zip(asked, masks, answers, strict=True):
        np.testing.assert_array_equal(answer, expected(ids, mask))
    assert executions(triton) - before < 60, "no two requests were joined"


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 513), (16, 3), (5, 128)])
def test_any_batch_size_and_length_gets_right_values(triton: RunningTriton, rows: int, length: int) -> None:
    ids = np.random.default_rng(rows * length).integers(0, VOCABULARY, (rows, length)).tolist()
    np.testing.assert_array_equal(triton.logits(ids), expected(ids, np.ones_like(ids).tolist()))


def test_bad_ids_cost_only_their_own_request(triton: RunningTriton) -> None:
    asked = [[[VOCABULARY + i if i % 5 == 0 else i % VOCABULARY] * 4] for i in range(40)]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(triton.infer, asked))
    for i, answer in enumerate(answers):
        if i % 5 == 0:
            assert answer.status_code == 400, answer.text
            assert "out of data bounds" in answer.text
        else:
            assert answer.json()["outputs"][0]["data"] == expected(asked[i], [[1] * 4]).ravel().tolist()


def test_a_missing_input_is_the_callers_mistake(triton: RunningTriton) -> None:
    inputs = [{"name": "input_ids", "datatype": "INT64", "shape": [1, 2], "data": [[1, 2]]}]
    answer = httpx.post(f"{triton.url}/v2/models/tiny/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    assert "expected 2 inputs but got 1" in answer.text


def test_a_new_version_with_other_labels_is_served_beside_the_old_one(triton: RunningTriton) -> None:
    publish(triton.repository, 2, labels=5)
    ids = [[1, 2, 3]]
    deadline = time.monotonic() + 30
    while httpx.get(f"{triton.url}/v2/models/tiny/versions/2/ready").status_code != 200:
        np.testing.assert_array_equal(triton.logits(ids), expected(ids, [[1] * 3]))
        assert time.monotonic() < deadline
    np.testing.assert_array_equal(triton.logits(ids, version=2), expected(ids, [[1] * 3], labels=5))
    np.testing.assert_array_equal(triton.logits(ids, version=1), expected(ids, [[1] * 3]))


def test_a_broken_version_leaves_the_one_before_serving(own_triton: RunningTriton, tmp_path: Path) -> None:
    broken = tmp_path / "aside"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(b"no graph")
    broken.rename(own_triton.repository / "tiny" / "2")
    deadline = time.monotonic() + 30
    while "failed to load 'tiny' version 2" not in own_triton.log.read_text():
        assert own_triton.logits([[1, 2]]).shape == (1, 3)
        assert time.monotonic() < deadline
    assert own_triton.logits([[1, 2]]).shape == (1, 3)
    assert httpx.get(f"{own_triton.url}/v2/models/tiny/versions/2/ready").status_code == 400
    assert httpx.get(f"{own_triton.url}/v2/health/ready").status_code == 200


def test_a_model_that_asks_for_a_gpu_where_there_is_none_is_refused_and_not_run_on_the_cpu(
    own_triton: RunningTriton, tmp_path: Path
) -> None:
    model = tmp_path / "aside"
    (model / "1").mkdir(parents=True)
    write_graph(model / "1" / "model.onnx", 3)
    asking = CONFIG.replace('"tiny"', '"asking"').replace("KIND_CPU", "KIND_GPU")
    (model / "config.pbtxt").write_text(asking)
    model.rename(own_triton.repository / "asking")
    deadline = time.monotonic() + 30
    reason = ""
    while not reason and time.monotonic() < deadline:
        index = httpx.post(f"{own_triton.url}/v2/repository/index").json()
        reason = next((entry.get("reason", "") for entry in index if entry["name"] == "asking"), "")
        time.sleep(0.1)
    assert "kind KIND_GPU but no GPUs are available" in reason, own_triton.log.read_text()
    assert httpx.get(f"{own_triton.url}/v2/models/asking/ready").status_code == 400
    assert own_triton.logits([[1, 2]]).shape == (1, 3)


REQUIRE_CUDA = """
import sys, types
utils = types.ModuleType("triton_python_backend_utils")
utils.TritonModelException = RuntimeError
sys.modules["triton_python_backend_utils"] = utils
import ort_session
config = {"name": "asking", "optimization": {}}
session = ort_session.open_session(sys.argv[1], config, ort_session.gpu_providers(config, 0))
try:
    ort_session.require_cuda(session, config["name"])
except RuntimeError as error:
    print(error)
"""


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime computes on GPUs"
)
def test_a_gpu_that_onnx_runtime_cannot_use_is_an_error_that_names_the_provider_in_use(tmp_path: Path) -> None:
    """Triton sees the GPU, the runtime falls back to the CPU: its own log line is all that would tell."""
    write_graph(tmp_path / "model.onnx", 3)
    command = [sys.executable, "-c", REQUIRE_CUDA, str(tmp_path / "model.onnx")]
    backend = ROOT / "server" / "backends" / "onnxruntime"
    answer = subprocess.run(command, cwd=backend, check=True, capture_output=True, text=True, timeout=60)
    assert "model asking asks for the GPU (instance_group KIND_GPU)" in answer.stdout
    assert "ONNX Runtime uses CPUExecutionProvider" in answer.stdout
    assert "TRITON_GPU=on" in answer.stdout


def test_memory_of_the_machine_cannot_be_mapped_by_callers(triton: RunningTriton) -> None:
    answer = httpx.post(f"{triton.url}/v2/systemsharedmemory/region/x/register", json={"key": "/x", "byte_size": 8})
    assert answer.status_code == 403


def test_a_killed_triton_serves_again(own_triton: RunningTriton) -> None:
    (pid,) = own_triton.pids("tritonserver")
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    own_triton.wait_until_serving()
    assert own_triton.logits([[1, 2]]).shape == (1, 3)
    assert own_triton.pids("tritonserver") != [pid]
    assert "killed by SIGKILL" in own_triton.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_triton_leaves_nothing_behind(own_triton: RunningTriton, number: signal.Signals) -> None:
    assert len(own_triton.pids()) >= 2
    own_triton.process.send_signal(number)
    assert own_triton.process.wait(30) == 0
    assert own_triton.leftovers() == []


def test_a_killed_supervisor_leaves_nothing_behind(own_triton: RunningTriton) -> None:
    own_triton.process.kill()
    own_triton.process.wait(5)
    own_triton.wait_until_nothing_is_left()


def test_a_port_in_use_is_named_with_the_setting_to_change(own_triton: RunningTriton) -> None:
    again = subprocess.run([sys.executable, "-m", "server"], cwd=ROOT, env=own_triton.env, capture_output=True)
    assert again.returncode == 2
    assert f"port {own_triton.env['TRITON_HTTP_PORT']} is in use by process" in again.stderr.decode()
    assert "TRITON_HTTP_PORT" in again.stderr.decode()
