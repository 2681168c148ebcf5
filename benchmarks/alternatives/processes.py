"""Starts another server, waits until it answers, and stops it with all that it started."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.alternatives import AlternativeError
from benchmarks.measure.resident import resident_mb
from repository.interrupts import interrupts_wait
from repository.shipped import environment_of_others

READY_S = 180.0
STOP_S = 15.0
RESUME_S = 30.0
"""A server that was held still may take a moment to see that nobody is gone."""
POLL_S = 0.2

_MARK = "STARTED_BY_BENCHMARK_IN"

# None of them is to call home, nor to look for anything on a model hub.
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


@contextlib.contextmanager
def running(
    command: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    is_ready: Callable[[], bool],
    ready_s: float = READY_S,
) -> Iterator[psutil.Process]:
    """A server in a session of its own; whatever it started is gone when the block ends, however it ends.

    Args:
        command: program and arguments.
        variables: environment variables beside those of this process.
        folder: where it runs, and where its log is written.
        is_ready: whether it answers.
        ready_s: how long that may take, in seconds.

    Raises:
        AlternativeError: it ended or did not answer in time; the message has the line of its log that says most.
    """
    log = folder / "server.log"
    process = None
    try:
        try:
            with log.open("wb") as output, interrupts_wait():
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env={**environment_of_others(), **QUIET, **variables, _MARK: str(folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise AlternativeError(f"does not start: {error}") from None
        deadline = time.monotonic() + ready_s
        while not is_ready():
            if process.poll() is not None:
                raise AlternativeError(f"does not start, status {process.returncode}: {_telling_line(log)}")
            if time.monotonic() > deadline:
                raise AlternativeError(f"does not answer within {ready_s:g} s: {_telling_line(log)}")
            time.sleep(POLL_S)
        yield psutil.Process(process.pid)
    finally:
        if process is not None:
            _stop(process, str(folder))


def run_to_end(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
    """Run a program that prepares something for a server.

    Raises:
        AlternativeError: it failed, or took longer than a server may take to start.
    """
    log = folder / "prepare.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**environment_of_others(), **QUIET, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=READY_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AlternativeError(f"cannot be prepared: {error}") from None
    if done.returncode:
        raise AlternativeError(f"cannot be prepared, status {done.returncode}: {_telling_line(log)}")


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and all below it, in MB."""
    return resident_mb(process.pid)


@contextlib.contextmanager
def paused(leader: psutil.Process) -> Iterator[None]:
    """Hold a server and all that it started still (SIGSTOP) until the block ends, while another one is measured.

    One that nobody asks still looks after its timers, polls and collects garbage.
    """
    members = [leader, *leader.children(recursive=True), *_left_behind(leader.pid, _mark_of(leader))]
    members = list({member.pid: member for member in members}.values())
    try:
        for member in members:  # parents first: none is to see a child that does not move
            with contextlib.suppress(psutil.NoSuchProcess):
                member.suspend()
        yield
    finally:
        for member in reversed(members):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.resume()


def wait_until_ready(is_ready: Callable[[], bool]) -> None:
    """For a server that was held still. Raises AlternativeError: it does not answer any more."""
    deadline = time.monotonic() + RESUME_S
    while not is_ready():
        if time.monotonic() > deadline:
            raise AlternativeError(f"does not answer within {RESUME_S:g} s of having been held still")
        time.sleep(POLL_S)


def _mark_of(leader: psutil.Process) -> str:
    """What tells the processes of a server that this module started; nothing for another one."""
    with contextlib.suppress(psutil.Error):
        return str(leader.environ().get(_MARK, ""))
    return ""


def _stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Ask the server to end, then kill what is left of it and of all that it started."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    process.kill()
    process.wait()
    _kill(_left_behind(process.pid, mark))


def _left_behind(leader: int, mark: str) -> list[psutil.Process]:
    """What a server started, whether it is still below it or not: of its session, or with its mark.

    Some write a title over their variables, and with them the mark; some begin a session of their own.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getsid(process.pid) == leader or process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # psutil tells a process from a later one with its number
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_S)


def _telling_line(log: Path) -> str:
    """The last line that names an error, else the last one."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it wrote nothing"]
    return next((line for line in reversed(lines) if re.search(r"\w*(Error|Exception)\b", line)), lines[-1])[:300]
