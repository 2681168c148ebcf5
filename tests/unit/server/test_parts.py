"""The parts of server/ that need no Triton: preflight, ports, lock file, shared memory, supervisor."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from server import ports, preflight, shared_memory
from server.install import InstallError, ensure_installed, requirements
from server.process import ChildSpec, Supervisor
from server.settings import ServerSettings
from tests.places import ROOT
from tests.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_taken_port_is_named_with_its_setting_and_its_process() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        (finding,) = ports.check_ports("127.0.0.1", {"TRITON_HTTP_PORT": port})
    assert f"port {port} is in use by process {os.getpid()}" in finding
    assert "TRITON_HTTP_PORT" in finding
    assert not ports.port_in_use("127.0.0.1", port)


def test_one_port_for_two_settings_is_refused() -> None:
    (finding,) = ports.check_ports("127.0.0.1", {"GATEWAY_PORT": 45123, "TRITON_HTTP_PORT": 45123})
    assert "both 45123" in finding


@pytest.mark.parametrize("minor", ["3.12", "3.13"])
def test_a_missing_libpython_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, minor: str) -> None:
    """For 3.13 the wheel brings one, of a patch release that an interpreter's own modules may not be of."""
    python = preflight.interpreter()
    python.version, python.minor = (3, int(minor.removeprefix("3.")), 0), minor
    monkeypatch.setattr(preflight, "find_library", lambda *_: None)
    (finding,) = preflight.check_python(python)
    assert f"libpython{minor}.so.1.0" in finding
    assert finding.endswith(f"libpython{minor}") or f"libpython{minor})" in finding


@pytest.mark.parametrize("minor", ["3.10", "3.14"])
def test_a_python_that_triton_has_no_backend_for_is_named(minor: str) -> None:
    python = preflight.interpreter()
    python.minor = minor
    (finding,) = preflight.check_python(python)
    assert f"cpython {minor} ({sys.executable})" in finding
    assert "TRITON_PYTHON" in finding


@pytest.mark.parametrize(("version", "refused"), [((3, 10), True), ((3, 11), False), ((3, 14), False), ((3, 15), True)])
def test_a_python_that_the_project_does_not_run_on_is_named_once(
    version: tuple[int, int], refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert bool(preflight.check_own_python(version)) is refused
    monkeypatch.setattr(preflight.check_own_python, "__defaults__", (version,))
    monkeypatch.setattr(preflight, "check_python", lambda _: ["what Triton lacks of a Python"])
    (found,) = [line for line in preflight.check_all(None, tmp_path) if "ython" in line]
    assert (f"Python {version[0]}.{version[1]} " in found and "CPython 3.11 to 3.14" in found) is refused


@pytest.mark.parametrize(
    ("system", "machine", "refused"),
    [("Linux", "x86_64", False), ("Linux", "aarch64", False), ("Linux", "riscv64", True), ("Darwin", "arm64", True)],
)
def test_a_machine_that_triton_is_not_built_for_is_named(
    system: str, machine: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight.platform, "system", lambda: system)
    monkeypatch.setattr(preflight.platform, "machine", lambda: machine)
    found = preflight.check_platform()
    assert len(found) == refused
    assert all(f"{system} on {machine}" in line and "docker compose up" in line for line in found)


@pytest.mark.parametrize(
    ("machine", "marks"), [("x86_64", "libc6,x86-64"), ("aarch64", "libc6,AArch64"), ("riscv64", "")]
)
def test_a_library_is_taken_for_this_machine_alone(
    machine: str, marks: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = [f"libnew.so.1 ({kind}) => /{kind}/libnew.so.1" for kind in ("libc6", "libc6,x86-64", "libc6,AArch64")]
    monkeypatch.setattr(preflight, "_loader_cache", lambda: cache)
    monkeypatch.setattr(preflight.platform, "machine", lambda: machine)
    expected = Path(f"/{marks}/libnew.so.1") if marks else None
    assert preflight.find_library("libnew.so.1", [tmp_path]) == expected


def test_preflight_runs_with_the_standard_library_alone() -> None:
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); import server.preflight"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def test_preflight_can_tell_an_old_python_that_it_is_too_old() -> None:
    """Annotations such as `str | None` end an import before Python 3.10, where nothing defers them."""
    code = "import sys; sys.path.insert(0, '.'); import server.preflight; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, text=True).split()
    own = [ROOT / f"{name.replace('.', '/')}.py" for name in loaded if name.split(".")[0] in ("repository", "server")]
    files = [path for path in own if path.is_file()]
    assert len(files) >= 3
    assert [path.name for path in files if "from __future__ import annotations" not in path.read_text("utf-8")] == []


def test_the_lock_file_gives_one_onnx_runtime_for_each_kind_of_machine() -> None:
    cpu, gpu = requirements(gpu=False), requirements(gpu=True)
    assert [line.split("==")[0] for line in cpu if "onnxruntime" in line] == ["onnxruntime"]
    assert [line.split("==")[0] for line in gpu if "onnxruntime" in line] == ["onnxruntime-gpu"]
    assert all("==" in line for line in [*cpu, *gpu])


def test_a_folder_with_other_files_is_not_installed_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InstallError, match="holds other files"):
        ensure_installed(ServerSettings(triton_env=tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_equal_ports_are_refused_by_the_settings() -> None:
    with pytest.raises(ValidationError, match="three different ports"):
        ServerSettings(triton_http_port=8100, triton_grpc_port=8100)


def test_every_setting_is_described_and_named_like_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_HTTP_PORT", "9100")
    assert ServerSettings().triton_http_port == 9100
    assert all(field.description for field in ServerSettings.model_fields.values())


def test_only_files_of_runs_that_are_gone_are_stale() -> None:
    prefix = shared_memory.new_prefix()
    mine = Path("/dev/shm") / f"{prefix}mine"
    mark, namespace, _, started, token, _ = mine.name.split(".")
    gone = Path("/dev/shm") / ".".join([mark, namespace, "999999999", started, token, "gone"])
    mine.touch()
    gone.touch()
    shared_memory.remove_stale()
    assert not gone.exists()
    assert mine.exists()
    assert shared_memory.remove(prefix) == 1


def test_a_dead_child_is_started_again_and_its_whole_group_is_ended() -> None:
    grandchild = (
        f"import subprocess, sys; subprocess.Popen({SLEEPER!r}); sys.stdin.close(); import time; time.sleep(60)"
    )
    exits: list[float] = []
    spec = ChildSpec("x", [sys.executable, "-c", grandchild], on_exit=lambda: exits.append(time.monotonic()))
    supervisor = Supervisor([spec])
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    first = _pid_of(supervisor, "x")
    time.sleep(0.5)
    os.kill(first, signal.SIGKILL)
    second = _pid_of(supervisor, "x", other_than=first)
    assert _group(first) == []
    supervisor.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert _group(second) == []
    assert len(exits) == 2


def test_a_child_that_cannot_be_started_is_tried_again_with_a_growing_pause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    supervisor = Supervisor([ChildSpec("x", ["/no/such/program"])])
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        wait_until(lambda: len(caplog.records) >= 3, 4, "three pauses")
    finally:
        supervisor.stop()
        thread.join(5)
    pauses = [record.getMessage().rpartition(" in ")[2] for record in caplog.records]
    assert pauses == ["0.5 s", "1.0 s", "2.0 s"]


def test_another_program_s_answer_does_not_make_a_child_ready(caplog: pytest.LogCaptureFixture) -> None:
    """As when somebody takes the port between the look at it and the child's start."""
    caplog.set_level(logging.INFO)
    announced = threading.Event()
    with socket.socket() as others:
        others.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        others.bind(("127.0.0.1", 0))
        others.listen()
        address = others.getsockname()
        listen = f"import socket, time; time.sleep(0.5); s = socket.create_server({address!r}); time.sleep(60)"
        spec = ChildSpec(
            "x", [sys.executable, "-c", listen], is_ready=lambda: ports.port_in_use(*address), port=address[1]
        )
        supervisor = Supervisor([spec], on_ready=announced.set)
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        try:
            wait_until(lambda: "starting it again" in caplog.text, 10, "the child has failed")
            assert f"(port {address[1]} is in use by process {os.getpid()} (" in caplog.text
            assert not announced.is_set()
            others.close()
            wait_until(announced.is_set, 20, "the child listens")
        finally:
            supervisor.stop()
            thread.join(20)


def _pid_of(supervisor: Supervisor, name: str, other_than: int = 0) -> int:
    wait_until(lambda: supervisor.pids().get(name, other_than) != other_than, 10, f"{name} runs")
    return supervisor.pids()[name]


def _group(pgid: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pgid:
            found.append(stat.parent.name)
    return found
