"""The shell of a page: one for all of its commands, with an end to those that have none."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_shell import PageShell, ShellTimeoutError
from tests.waiting import wait_until


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[PageShell]:
    with PageShell(tmp_path, {"PATH": os.environ["PATH"]}) as running:
        yield running


def test_what_a_command_sets_is_there_for_the_next(shell: PageShell) -> None:
    assert shell.run("mkdir inner && cd inner && NAME=x", 10) == ("", 0)
    assert shell.run('echo "$NAME"; basename "$PWD"; echo wrong >&2', 10) == ("x\ninner\nwrong\n", 0)


def test_a_status_and_a_last_line_without_an_end_are_told(shell: PageShell) -> None:
    assert shell.run("printf half; false", 10) == ("half", 1)
    assert shell.run("cat <<'END'\nof here\nEND", 10) == ("of here\n", 0)


def test_a_command_reads_no_further_command(shell: PageShell) -> None:
    assert shell.run("cat", 10) == ("", 0)
    assert shell.run("echo still here", 10) == ("still here\n", 0)


def test_one_that_does_not_end_is_given_up_with_what_it_printed(tmp_path: Path) -> None:
    begun = time.monotonic()
    shell = PageShell(tmp_path, {"PATH": os.environ["PATH"]})
    with shell, pytest.raises(ShellTimeoutError, match="waiting"):
        shell.run("echo waiting; sleep 60", 0.5)
    assert time.monotonic() - begun < 50


def test_what_a_page_leaves_running_ends_with_it(tmp_path: Path) -> None:
    with PageShell(tmp_path, {"PATH": os.environ["PATH"]}) as shell:
        pid, _ = shell.run("sleep 60 & echo $!", 10)
    command = Path(f"/proc/{pid.strip()}/cmdline")
    wait_until(lambda: not command.exists() or "sleep" not in command.read_text(), 10, "it has ended", pause_s=0.02)
