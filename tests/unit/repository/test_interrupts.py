"""A signal that comes while a process is being started waits until its number is known."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from launcher.steps import Command, end_as_by_ctrl_c
from repository.interrupts import interrupts_wait


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_arrives_once_at_the_end(number: signal.Signals) -> None:
    end_as_by_ctrl_c()
    steps = []

    def start() -> None:
        with interrupts_wait():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            steps.append("all of the block")
        steps.append("never reached")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["all of the block"]


def test_without_a_signal_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_wait():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_ignored_stays_ignored_for_the_child() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asks = "import signal; raise SystemExit(int(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN))"
    with interrupts_wait():
        process = subprocess.Popen([sys.executable, "-c", asks])
    assert process.wait() == 1


def test_a_thread_other_than_the_main_one_may_use_it() -> None:
    entered = []

    def enter() -> None:
        with interrupts_wait():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [signal.getsignal(signal.SIGINT)]


def test_a_step_that_is_just_being_started_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    end_as_by_ctrl_c()
    started = []

    class Slow(subprocess.Popen[bytes]):
        """A process whose number is not told before a SIGTERM has come."""

        def __init__(self, _command: list[str]) -> None:
            super().__init__([sys.executable, "-c", "import time; time.sleep(60)"])
            started.append(self)
            os.kill(os.getpid(), signal.SIGTERM)
            sum(range(1000))  # the handler runs between two of these

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        Command("any", ()).run()
    assert started[0].returncode == -signal.SIGTERM
