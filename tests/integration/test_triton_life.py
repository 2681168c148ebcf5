"""The embedded Triton outlives a broken model and a kill, names a port that is taken, and stopped leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.tiny_triton import CONFIG, RunningTriton, publish, running, write_graph
from tests.places import ROOT
from tests.waiting import wait_until


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[RunningTriton]:
    """One for a test that ends it."""
    publish(tmp_path / "models", 1)
    with running(tmp_path) as started:
        yield started


def test_a_broken_version_leaves_the_one_before_serving(own_triton: RunningTriton, tmp_path: Path) -> None:
    broken = tmp_path / "aside"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(b"no graph")
    broken.rename(own_triton.repository / "tiny" / "2")

    def is_refused() -> bool:
        assert own_triton.logits([[1, 2]]).shape == (1, 3)
        return "failed to load 'tiny' version 2" in own_triton.log.read_text()

    wait_until(is_refused, 30, "version 2 is refused")
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

    def reason() -> str:
        index = httpx.post(f"{own_triton.url}/v2/repository/index").json()
        return next((entry.get("reason", "") for entry in index if entry["name"] == "asking"), "")

    wait_until(reason, 30, f"Triton says why it does not serve it, see {own_triton.log}")
    assert "kind KIND_GPU but no GPUs are available" in reason()
    assert httpx.get(f"{own_triton.url}/v2/models/asking/ready").status_code == 400
    assert own_triton.logits([[1, 2]]).shape == (1, 3)


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
    wait_until(lambda: not own_triton.leftovers(), 20, f"nothing is left of it, see {own_triton.log}")


def test_a_port_in_use_is_named_with_the_setting_to_change(own_triton: RunningTriton) -> None:
    again = subprocess.run([sys.executable, "-m", "server"], cwd=ROOT, env=own_triton.env, capture_output=True)
    assert again.returncode == 2
    assert f"port {own_triton.env['TRITON_HTTP_PORT']} is in use by process" in again.stderr.decode()
    assert "TRITON_HTTP_PORT" in again.stderr.decode()
