"""The compose files on a Docker engine, as a project of their own beside whatever else runs there."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.measure.ports import free_ports
from tests.deployment import COMPOSE_FILES, ROOT

TRAIN_TOO = "COMPOSE_TRAIN"
"""Set, the image that trains is built too: torch is a download of 200 MB to 3 GB, after the index that pip is given."""


def missing_engine() -> str | None:
    """Why nothing can be run here, or None where a Docker engine with Compose answers."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command, lacking in ((["docker", "info"], "a Docker engine"), (["docker", "compose", "version"], "Compose")):
        if subprocess.run(command, capture_output=True).returncode != 0:
            return f"docker finds no {lacking.removeprefix('a ')}"
    return None


class ComposeProject:
    """docker-compose.yaml with docker-compose.cpu.yaml over it, on a free port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        (self.port,) = free_ports(1)
        self.name = f"classifier-test-{self.port}"
        self.env = {**os.environ, "GATEWAY_PORT": str(self.port), **settings}
        self.files = [*COMPOSE_FILES]
        if network := os.environ.get("DOCKER_BUILD_NETWORK"):  # where the engine's own network has no way out
            self.files.append(folder / "network.json")
            build = {"build": {"network": network}}
            self.files[-1].write_text(json.dumps({"services": dict.fromkeys(("train", "triton", "gateway"), build)}))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.compose("down", "--volumes", "--timeout", "20")

    def run(self, *arguments: str, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """`docker compose` with these arguments, whatever its exit status."""
        files = [part for file in self.files for part in ("-f", str(file))]
        command = ["docker", "compose", "-p", self.name, *files, *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout_s)

    def compose(self, *arguments: str, timeout_s: float = 900) -> str:
        """The output of `docker compose`, which has to succeed."""
        ended = self.run(*arguments, timeout_s=timeout_s)
        assert ended.returncode == 0, (
            f"docker compose {' '.join(arguments)}\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}"
        )
        return ended.stdout

    def up(self, *services: str) -> None:
        """Start services of images that are built, without those that they depend on, and wait until they are well."""
        self.compose("up", "--detach", "--no-deps", "--no-build", "--wait", *services)

    def sh(self, service: str, script: str) -> subprocess.CompletedProcess[str]:
        """A shell line in a running container."""
        return self.run("exec", "-T", service, "sh", "-c", script, timeout_s=60)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container, stopped or not."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return dict(json.loads(subprocess.check_output(["docker", "inspect", container]))[0])

    def classify(self, sentence: str) -> httpx.Response:
        """GET /classify through the published port."""
        return self.client.get("/classify", params={"sentence": sentence})

    def ready_version(self) -> int | None:
        """The version that answers, or None."""
        try:
            answer = self.client.get("/health/ready")
        except httpx.TransportError:
            return None
        return int(answer.json()["version"]) if answer.status_code == 200 else None
