"""Starts the whole service for a benchmark, as `make up` does, on free ports, and stops it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.measure.ports import free_ports
from repository.addresses import url_of
from repository.interrupts import interrupts_wait

HOST = "127.0.0.1"
PORT_SETTINGS = ("GATEWAY_PORT", "TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT")
READY_S = 120
STOP_S = 30


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    url: str
    """Of the gateway."""
    pid: int
    """Of the launcher, whose children Triton and the gateway are."""
    triton: str = ""
    """URL of Triton's HTTP endpoint, if there is one."""


class ServiceError(RuntimeError):
    """The service did not come up; the message is the end of its log."""


@contextlib.contextmanager
def running_service(repository: Path, model_name: str, **settings: str) -> Iterator[Service]:
    """The service over a repository with a published version."""
    env, ports = _environment(repository, model_name, settings)
    with _running([sys.executable, "-m", "launcher"], env, ports["GATEWAY_PORT"], "/health/ready") as service:
        yield replace(service, triton=url_of(HOST, ports["TRITON_HTTP_PORT"]))


@contextlib.contextmanager
def running_triton(repository: Path, model_name: str, **settings: str) -> Iterator[dict[str, str]]:
    """Triton alone; yields host and port of its HTTP and its gRPC endpoint, by `http` and `grpc`."""
    env, ports = _environment(repository, model_name, settings)
    ready = f"/v2/models/{model_name}/ready"
    with _running([sys.executable, "-m", "server"], env, ports["TRITON_HTTP_PORT"], ready):
        yield {name: f"{HOST}:{ports[f'TRITON_{name.upper()}_PORT']}" for name in ("http", "grpc")}


@contextlib.contextmanager
def running_bare_fastapi() -> Iterator[str]:
    """`benchmarks.measure.bare_fastapi` under the server and the event loop that the gateway has; yields its URL."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "benchmarks.measure.bare_fastapi:app", "--port", str(port)]
    options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    with _running([*command, *options], dict(os.environ), port, "/classify") as bare:
        yield bare.url


def _environment(repository: Path, model_name: str, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, int]]:
    """The variables of a service on free ports, and the ports by the settings that name them."""
    ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
    named = {name: str(port) for name, port in ports.items()}
    hosts = dict.fromkeys(("GATEWAY_HOST", "TRITON_HOST"), HOST)
    return {
        **os.environ,
        **hosts,
        "MODEL_REPOSITORY": str(repository),
        "MODEL_NAME": model_name,
        **named,
        **settings,
    }, ports


@contextlib.contextmanager
def _running(command: list[str], env: dict[str, str], port: int, ready: str) -> Iterator[Service]:
    url = url_of(HOST, port)
    with tempfile.TemporaryFile() as log:
        process = None
        try:
            with interrupts_wait():
                process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
            deadline = time.monotonic() + READY_S
            while not _answers(url + ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise ServiceError(log.read()[-2000:].decode(errors="replace"))
                time.sleep(0.2)
            yield Service(url, process.pid)
        finally:
            if process is not None:
                _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, then kill it with all below it: what it did not do in time must not hide why it failed."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil tells a process from a later one with its number
                child.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
