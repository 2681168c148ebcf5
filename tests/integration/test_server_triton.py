"""What the embedded Triton answers: right values, alone and joined, and mistakes that cost only their own request."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest

from tests.integration.tiny_triton import VOCABULARY, RunningTriton, expected, publish, running, write_graph
from tests.places import ROOT
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    folder = tmp_path_factory.mktemp("serving")
    publish(folder / "models", 1)
    with running(folder) as started:
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

    def is_there() -> bool:
        np.testing.assert_array_equal(triton.logits(ids), expected(ids, [[1] * 3]))
        return triton.serves(2)

    wait_until(is_there, 30, "version 2 is served")
    np.testing.assert_array_equal(triton.logits(ids, version=2), expected(ids, [[1] * 3], labels=5))
    np.testing.assert_array_equal(triton.logits(ids, version=1), expected(ids, [[1] * 3]))


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
