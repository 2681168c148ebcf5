"""docs/operations.md: its commands, one after the other, on a running service print what the page says."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repository.store import ModelStore
from tests.integration.ports import free_ports
from tests.integration.stack import ROOT, Stack
from tests.integration.swapping import SWAP_S, new_store, serving, write_model
from tests.version_folders import write_golden
from tests.waiting import PATIENCE

PAGE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"```sh\n(?P<command>.*?)\n```\n```text\n(?P<output>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of the page, and what the page says that it prints."""

    command: str
    output: str

    def is_printed(self, text: str) -> bool:
        """Whether the text is the page's output; `…` there stands for anything."""
        pattern = ".*".join(re.escape(part) for part in self.output.strip().split("…"))
        return re.fullmatch(pattern, text.replace("\r", "").strip(), re.DOTALL) is not None


def steps() -> list[Step]:
    return [Step(found["command"], found["output"]) for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = new_store(tmp_path)
    exported = write_model(tmp_path / "project" / "exports" / "classifier", 1, seed=2)
    write_golden(exported, ["word20", "word30 word31"])
    return store


@pytest.fixture
def stack(store: ModelStore) -> Iterator[Stack]:
    with serving(store) as running:
        yield running


def test_the_page_s_blocks_are_all_read() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(steps()) == text.count("```sh\n") == text.count("```text\n") > 20


def test_every_command_prints_what_the_page_says(stack: Stack, store: ModelStore, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (second,) = free_ports(1)
    env = {**stack.env, "PYTHONPATH": str(ROOT), "LOG_REQUESTS": "false", "NO_COLOR": "1", "COLUMNS": "200"}
    try:
        for step in steps():
            command = step.command.replace("127.0.0.1:8000", f"127.0.0.1:{stack.ports['GATEWAY_PORT']}")
            command = command.replace("127.0.0.1:8001", f"127.0.0.1:{second}").replace("PORT=8001", f"PORT={second}")
            command = command.replace(".venv/bin/python", sys.executable)
            run(Step(command, step.output), project, env)
    finally:
        end_second_gateway(project)
    assert store.numbers() == [1, 2]


def run(step: Step, folder: Path, env: dict[str, str]) -> None:
    """Run it; one that only looks is repeated until the service has followed what was done before."""
    deadline = time.monotonic() + (PATIENCE * SWAP_S if step.command.startswith("curl") else 0)
    while True:
        done = subprocess.run(
            ["bash", "-c", step.command], cwd=folder, env=env, stdout=subprocess.PIPE, text=True, timeout=120
        )
        if step.is_printed(done.stdout):
            return
        if time.monotonic() > deadline:
            pytest.fail(f"{step.command}\nprinted\n{done.stdout}\nwhere the page says\n{step.output}")
        time.sleep(0.1)


def end_second_gateway(folder: Path) -> None:
    """Only of use when the page's own command has not ended it."""
    pid_file = folder / "gateway.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return
    if "gateway" in arguments:
        os.kill(pid, signal.SIGKILL)
