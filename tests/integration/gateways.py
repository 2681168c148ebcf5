"""Several models in one Triton, and more gateways before it, each with settings of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from benchmarks.measure.ports import free_ports
from repository.config import ModelConfig
from repository.store import ModelStore
from tests.integration.stack import ROOT, Stack
from tests.waiting import wait_until

ENDS_S = 30
"""Seconds in which a gateway ends: one that waits for others for ever is told from one that is only late."""


def publish(repository: Path, model: str, version_folder: Path) -> ModelStore:
    """Make the version the next one of the model, which may be new."""
    store = ModelStore(repository, model)
    store.folder.mkdir(parents=True, exist_ok=True)
    store.ensure_config(ModelConfig(model).to_pbtxt())
    store.publish(version_folder)
    return store


def versions_of_workers(url: str) -> set[int | None]:
    """The current version of each worker, None of one that is starting; fresh connections are dealt between them."""
    answers = [httpx.get(f"{url}/health/ready") for _ in range(30)]
    return {answer.json()["version"] if answer.status_code == 200 else None for answer in answers}


class Gateway:
    """A running `python -m gateway`."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def is_ready(self) -> bool:
        """Whether a sentence can be answered."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str) -> float:
        """The value of one metric, named with its labels but that of the only model; 0 if there is none yet."""
        text = re.sub(r'(?<=\{)model="[^"]*",?|,model="[^"]*"', "", self.client.get("/metrics").text).replace("{}", "")
        for line in text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def end(self) -> None:
        """Send SIGTERM, and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=ENDS_S) in (0, -signal.SIGTERM)  # uvicorn passes the signal on to itself

    def memory_mb(self) -> float:
        """Resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def gateway_beside(stack: Stack, log: Path, descriptors: int = 0, **settings: str) -> Iterator[Gateway]:
    """One more gateway before the stack's Triton, with these settings and at most so many open files."""
    with running_gateway({**stack.env, **settings}, log, descriptors=descriptors) as gateway:
        yield gateway


@contextlib.contextmanager
def running_gateway(env: Mapping[str, str], log: Path, waits: bool = True, descriptors: int = 0) -> Iterator[Gateway]:
    """A gateway with this environment, on a port of its own; it is ready, unless the test does not wait for that."""
    (port,) = free_ports(1)
    env = {**env, "GATEWAY_PORT": str(port)}
    command = [sys.executable, "-m", "gateway"]
    if descriptors:
        command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"', *command]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
    gateway = Gateway(process, port, log)
    try:
        if waits:
            wait_until(gateway.is_ready, 30, f"the gateway is ready, see {log}")
        yield gateway
    finally:
        gateway.client.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
