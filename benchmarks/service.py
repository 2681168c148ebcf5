"""Starts the whole service for a benchmark, as `make up` does, on free ports, and stops it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PORT_SETTINGS = ("GATEWAY_PORT", "TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT")
READY_S = 120
STOP_S = 30


class ServiceError(RuntimeError):
    """The service did not come up; the message is the end of its log."""


@contextlib.contextmanager
def running_service(repository: Path, model_name: str, **settings: str) -> Iterator[str]:
    """The service over a repository with a published version; yields the gateway's URL."""
    ports = _free_ports(len(PORT_SETTINGS))
    env = {
        **os.environ,
        "MODEL_REPOSITORY": str(repository),
        "MODEL_NAME": model_name,
        **dict(zip(PORT_SETTINGS, map(str, ports), strict=True)),
        **settings,
    }
    with _running([sys.executable, "-m", "launcher"], env, ports[0], "/health/ready") as url:
        yield url


@contextlib.contextmanager
def running_bare_fastapi() -> Iterator[str]:
    """`benchmarks.bare_fastapi` under the server and the event loop that the gateway has; yields its URL."""
    (port,) = _free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare_fastapi:app", "--port", str(port)]
    options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    with _running([*command, *options], dict(os.environ), port, "/classify") as url:
        yield url


@contextlib.contextmanager
def _running(command: list[str], env: dict[str, str], port: int, ready: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + READY_S
            while not _answers(url + ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise ServiceError(log.read()[-2000:].decode(errors="replace"))
                time.sleep(0.2)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=STOP_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]
