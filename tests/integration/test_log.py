"""What is logged never holds up an answer, a restart or the end, whether it is read or not; lines are whole."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measure.ports import free_ports
from repository.manifest import MODEL_FILE
from tests.integration.callers import Load, keep_asking
from tests.integration.gateways import ENDS_S, Gateway, gateway_beside, publish, running_gateway
from tests.integration.stack import ROOT, Stack
from tests.integration.swapping import until_failed
from tests.version_folders import write_manifest, write_version
from tests.waiting import wait_until

NATURE = {"cat": "Animal", "oak": "Plant"}
DROPPED = "gateway_log_lines_dropped_total"
REQUESTS = 1500


@contextlib.contextmanager
def unread_pipe(folder: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe that somebody holds open and nobody reads; closing the descriptor leaves it without a reader."""
    path = folder / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(OSError):  # closed before
        yield path, descriptor
        os.close(descriptor)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole service, with nobody to read what it prints."""
    folder = tmp_path_factory.mktemp("log")
    publish(folder / "repository", "classifier", write_version(folder / "nature", NATURE))
    with unread_pipe(folder) as (pipe, _), Stack(folder / "repository", pipe) as running:
        yield running


def ask_often(port: int) -> Load:
    """More requests than their lines have room in a pipe; ends when there were enough."""
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked > REQUESTS

    return asyncio.run(keep_asking(port, "cat", 8, enough))


@pytest.mark.parametrize(("log", "workers"), [("unread", "1"), ("closed", "1"), ("full", "1"), ("full", "2")])
def test_answers_do_not_depend_on_the_log_and_lost_lines_are_counted(
    stack: Stack, tmp_path: Path, log: str, workers: str
) -> None:
    with unread_pipe(tmp_path) as (pipe, descriptor):
        path = Path("/dev/full") if log == "full" else pipe
        with gateway_beside(stack, path, WORKERS=workers) as gateway:
            if log == "closed":
                os.close(descriptor)
            load = ask_often(gateway.port)
            assert load.statuses() == {200: len(load.replies)}
            assert len(load.replies) >= REQUESTS
            if log == "unread":
                time.sleep(1.5)  # now nobody can be thought to read
                load = ask_often(gateway.port)
                assert load.statuses() == {200: len(load.replies)}
                wait_until(lambda: gateway.metric(DROPPED) > 0, 5, "lines are dropped")
            else:
                wait_until(lambda: gateway.metric(DROPPED) >= REQUESTS, 5, "every line is counted")
            assert gateway.client.get("/health/live").status_code == 200
            gateway.end()


def test_a_reader_gets_every_line_whole_and_in_order(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gateway_beside(stack, log) as gateway:
        for place in range(300):
            gateway.client.get("/classify", params={"sentence": "cat"}, headers={"X-Request-ID": f"line-{place}"})
        assert gateway.metric(DROPPED) == 0
        gateway.end()
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    found = [json.loads(line)["request_id"] for line in lines]
    assert [name for name in found if name.startswith("line-")] == [f"line-{place}" for place in range(300)]


def test_ctrl_c_ends_a_gateway_whose_log_nobody_reads(stack: Stack, tmp_path: Path) -> None:
    with unread_pipe(tmp_path) as (pipe, _), gateway_beside(stack, pipe) as gateway:
        ask_often(gateway.port)
        gateway.process.send_signal(signal.SIGINT)
        gateway.process.wait(timeout=ENDS_S)


def test_every_worker_logs_with_time_level_and_name(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (closed,) = free_ports(1)
    env = {**os.environ, "TRITON_HTTP_PORT": str(closed), "WORKERS": "2", "MODEL_REPOSITORY": str(tmp_path)}
    written = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ WARNING gateway\.versions: Not ready: ", re.MULTILINE)
    with running_gateway(env, log, waits=False):
        wait_until(lambda: len(written.findall(log.read_text())) == 2, 30, "both workers say what they lack")


def test_output_that_is_closed_from_the_start_keeps_nothing_from_working(stack: Stack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = ["bash", "-c", f'exec "{sys.executable}" -m gateway >&- 2>&-']
    process = subprocess.Popen(command, cwd=ROOT, env={**stack.env, "GATEWAY_PORT": str(port)})
    gateway = Gateway(process, port, tmp_path)
    try:
        wait_until(gateway.is_ready, 30, "the gateway is ready")
        assert gateway.client.get("/classify", params={"sentence": "cat"}).json()[0]["label"] == "Animal"
    finally:
        gateway.client.close()
        process.terminate()
        process.wait(timeout=60)


def test_triton_and_its_supervisor_do_not_wait_for_who_reads_their_output(stack: Stack, tmp_path: Path) -> None:
    """Triton tells of a broken version at every look at the repository; a full pipe would stop it for good."""
    broken = write_version(tmp_path / "broken", NATURE)
    (broken / MODEL_FILE).write_bytes(b"no graph")
    write_manifest(broken, sorted(set(NATURE.values())))
    model = stack.repository / "classifier"
    broken.rename(model / "2")
    until_failed(stack, 2, "model.onnx failed")
    ask_often(stack.ports["GATEWAY_PORT"])
    (triton,) = stack.processes("tritonserver")
    for descriptor in (1, 2):
        assert Path(f"/proc/{triton}/fd/{descriptor}").resolve() != stack.log, "Triton writes to the pipe itself"
    shutil.rmtree(model / "2")  # it would keep Triton from loading the other one after a start
    os.kill(triton, signal.SIGKILL)
    wait_until(lambda: stack.processes("tritonserver") not in ([], [triton]), 20, "Triton is started again")
    wait_until(lambda: stack.version() == 1, 30, "the good version answers again")
    assert stack.stop(signal.SIGTERM) == 0
