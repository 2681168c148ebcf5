"""Faults strike the service while it is asked and its versions change: short runs, as `make nemesis` does long ones."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.programs import start_in, started_by
from tests.nemesis.run import HISTORY
from tests.places import ROOT
from tests.waiting import PATIENCE, wait_until

RUN_S = 30
NEMESIS = "tests.nemesis"


def start(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    return start_in(folder, NEMESIS, "run", "--folder", str(folder / "run"), *options)


def check_again(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", NEMESIS, "check", str(folder / "run")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("--s3",)], ids=["disk", "S3"])
def test_no_fault_makes_an_answer_wrong_or_old_and_all_views_agree_at_rest(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    process = start(tmp_path, "--seconds", str(RUN_S), "--seed", "4", *options)
    try:
        status = process.wait(timeout=120 * PATIENCE)
    finally:
        process.kill()
    told = (tmp_path / "log").read_text()
    assert status == 0, told
    assert "No promise was broken." in told
    assert "Seed 4" in told
    assert started_by(tmp_path) == []
    again = check_again(tmp_path)
    assert (again.returncode, again.stdout) == (0, "The history breaks no promise.\n")
    change_one_answer(tmp_path / "run" / HISTORY)
    again = check_again(tmp_path)
    assert again.returncode == 1
    assert "came in its name" in again.stdout


def change_one_answer(history: Path) -> None:
    """Let one label that was answered have been another one."""
    lines = history.read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    answered = [place for place, entry in enumerate(entries) if entry["kind"] == "classify" and entry["type"] == "ok"]
    assert len(answered) > 50
    place = answered[-1]
    entries[place]["value"]["answers"][0][0] += "?"
    lines[place] = json.dumps(entries[place])
    history.write_text("\n".join(lines) + "\n")


def test_ctrl_c_checks_what_there_is_and_leaves_no_process(tmp_path: Path) -> None:
    process = start(tmp_path, "--seconds", "600", "--kinds", "pause-triton,damage")
    history = tmp_path / "run" / HISTORY
    try:
        wait_until(
            lambda: history.exists() and '"fault"' in history.read_text(),
            90,
            f"a fault strikes, see {tmp_path / 'log'}",
        )
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=60 * PATIENCE)
    told = (tmp_path / "log").read_text()
    assert status == 130, told
    assert "Interrupted" in told
    assert "operations" in told or "classify" in told
    assert started_by(tmp_path) == []


def test_a_fault_that_there_is_not_is_refused(tmp_path: Path) -> None:
    process = start(tmp_path, "--kinds", "kill-triton,flood")
    assert process.wait(timeout=30 * PATIENCE) == 2
    assert "There is no fault flood; there are kill-triton, " in (tmp_path / "log").read_text()
