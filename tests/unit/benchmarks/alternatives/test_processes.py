"""Processes of a measured server: stopped with all that they started, held still for another, given up in time."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.answers import Question
from benchmarks.alternatives.ours import Ours
from benchmarks.alternatives.processes import memory_mb, paused, running, wait_until_ready
from tests.fake_alternative import answers
from tests.waiting import wait_until

# Starts a child in another session and an orphan in its own, and tells their numbers; ignores SIGTERM if told to.
FAMILY = """
import os, signal, subprocess, sys, time

sleep = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
away = subprocess.Popen(sleep, start_new_session=True)
quiet = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
leave = f"import subprocess; print(subprocess.Popen({sleep!r}, {quiet}).pid)"
orphan = subprocess.run([sys.executable, "-c", leave], capture_output=True, text=True).stdout
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("pids.new", "w") as file:
    file.write(f"{away.pid} {orphan}")
os.rename("pids.new", "pids")
if "fails" in sys.argv:
    sys.exit(3)
time.sleep(300)
"""


@contextlib.contextmanager
def family(folder: Path, *arguments: str) -> Iterator[list[int]]:
    """Runs the family; yields the number of each, its head first."""
    told = folder / "pids"
    with running([sys.executable, "-c", FAMILY, *arguments], {}, folder, told.exists) as process:
        assert memory_mb(process) > 5
        yield [process.pid, *map(int, told.read_text().split())]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def are_stopped(pids: list[int]) -> bool:
    return {psutil.Process(pid).status() for pid in pids} == {psutil.STATUS_STOPPED}


def test_a_server_is_held_still_while_the_other_one_is_measured(ours: Ours) -> None:
    with paused(psutil.Process(ours.pid)):
        wait_until(lambda: are_stopped([ours.pid]), 10, "all are stopped")  # each when it has its turn
        with pytest.raises(AlternativeError, match="timed out"):
            Question("/classify").ask(ours.url, "a", timeout_s=0.3)
    wait_until_ready(lambda: answers(ours.url))
    assert psutil.Process(ours.pid).status() != psutil.STATUS_STOPPED


def test_a_server_is_held_still_with_all_that_it_started(tmp_path: Path) -> None:
    with family(tmp_path) as pids:
        with paused(psutil.Process(pids[0])):
            wait_until(lambda: are_stopped(pids), 10, "all are stopped")  # each when it has its turn
        with pytest.raises(KeyboardInterrupt), paused(psutil.Process(pids[0])):
            raise KeyboardInterrupt
        assert psutil.STATUS_STOPPED not in {psutil.Process(pid).status() for pid in pids}


def test_whatever_a_server_started_is_stopped_with_it(tmp_path: Path) -> None:
    with family(tmp_path) as pids:
        assert len(alive(pids)) == 3
        assert os.getsid(pids[1]) != os.getsid(pids[0])
    assert alive(pids) == []


def test_a_server_that_does_not_end_when_asked_is_killed_on_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.alternatives.processes.STOP_S", 1.0)
    with pytest.raises(KeyboardInterrupt), family(tmp_path, "stubborn") as pids:
        raise KeyboardInterrupt
    assert alive(pids) == []


def test_what_a_server_left_when_it_failed_to_start_is_stopped(tmp_path: Path) -> None:
    with (
        pytest.raises(AlternativeError, match="status 3: it wrote nothing"),
        running([sys.executable, "-c", FAMILY, "fails"], {}, tmp_path, lambda: False),
    ):
        pass
    left = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(left) == 2
    assert alive(left) == []


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; print('still loading', flush=True); time.sleep(300)"]
    with (
        pytest.raises(AlternativeError, match="does not answer within 1 s: still loading"),
        running(command, {}, tmp_path, lambda: False, ready_s=1.0),
    ):
        pass
