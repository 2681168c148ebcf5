"""A real Triton, started by `python -m server`, with graphs small enough to know every answer beforehand."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.measure.ports import free_ports
from tests.places import ROOT
from tests.waiting import wait_until

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

    def wait_until_serving(self) -> None:
        wait_until(lambda: self.serves(1), 60, f"version 1 is served, see {self.log}")

    def serves(self, version: int) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/v2/models/tiny/versions/{version}/ready").status_code == 200
        except httpx.HTTPError:
            return False

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
