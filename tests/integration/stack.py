"""The whole service as a user starts it, `python -m launcher`, on free ports and a repository of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.measure.ports import free_ports
from tests.places import ROOT
from tests.waiting import wait_until

PORT_SETTINGS = ("GATEWAY_PORT", "TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT")


class Stack:
    """Triton and the gateway over `repository`; the first version has to be published before it is entered."""

    def __init__(self, repository: Path | str, log: Path, ready_timeout_s: float = 60, **settings: str) -> None:
        self.repository = Path(repository)
        self.ready_timeout_s = ready_timeout_s
        self.log = log
        self.ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
        self.env = {
            **os.environ,
            "MODEL_REPOSITORY": str(repository),
            "TRITON_KIND": "embedded",
            **{name: str(port) for name, port in self.ports.items()},
            **settings,
        }
        self.use_host("127.0.0.1")
        self.process: subprocess.Popen[bytes] | None = None
        self.own_group = False
        """Whether Ctrl-C at the terminal leaves it to this object to end the service."""

    def use_host(self, host: str) -> None:
        """Ask the gateway there."""
        self.url = f"http://{host}:{self.ports['GATEWAY_PORT']}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launcher"],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0 if self.own_group else None,
            )
        try:
            wait_until(
                lambda: self.version() is not None, self.ready_timeout_s, f"the service is ready, see {self.log}"
            )
        except BaseException:
            self.stop(signal.SIGTERM)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.stop(signal.SIGTERM)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal to the launcher, as Ctrl-C does, and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def version(self) -> int | None:
        """The current version, or None while the service is not ready."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = self.client.get("/health/ready")
        except httpx.TransportError:
            return None
        return int(answer.json()["version"]) if answer.status_code == 200 else None

    def classify(self, sentence: str) -> httpx.Response:
        """GET /classify."""
        return self.client.get("/classify", params={"sentence": sentence})

    @contextlib.contextmanager
    def hanging(self, *programs: str) -> Iterator[None]:
        """These programs of the run get no processor time."""
        pids = [pid for program in programs for pid in self.processes(program)]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def processes(self, program: str | None = None) -> list[int]:
        """Processes of this run, or those of one program: all inherited the run's gateway port."""
        mark = f"GATEWAY_PORT={self.ports['GATEWAY_PORT']}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                name = Path((folder / "cmdline").read_text().split("\0")[0]).name
            except OSError:
                continue
            if mark in environment and program in (None, name):
                found.append(int(folder.name))
        return found
