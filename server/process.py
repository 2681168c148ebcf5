"""Keeps child processes alive until a signal, and leaves none behind: `Supervisor([ChildSpec(...), ...]).run()`.

Each child leads a process group of its own. When it ends, for whatever reason, the whole group is ended before it
is started again, so that nothing it forked (Triton's Python stubs) holds a port or memory. The kernel kills a child
whose supervisor was killed, so that not even `kill -9` of the supervisor leaves an orphan.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from repository.names import visible
from server.ports import by_whom, only_others_listen

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
RELAY_S = 1.0
LONGEST_LINE = 65536

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ChildSpec:
    """A program to keep running.

    `grace_s`: how long it may take to end after SIGTERM. `on_exit` runs whenever the whole group is gone, before a
    restart too. `is_ready` is asked a few times a second after each start until it says True; `ready_message` is
    logged then. At `port`, if it is given, somebody else's program may answer in the child's place: that counts for
    nothing. What the child prints goes through this process, whose queue takes it whoever reads it or not, unless the
    child `never_waits` for its readers itself: a full pipe stops most programs, Triton among them.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    grace_s: float = 15.0
    on_exit: Callable[[], object] | None = None
    is_ready: Callable[[], bool] | None = None
    ready_message: str = "ready"
    port: int | None = None
    never_waits: bool = False


@dataclass
class _Child:
    spec: ChildSpec
    pid: int | None = None
    started: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    start_at: float = 0.0
    ready: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    relay: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Runs its children in the order given and stops them in reverse."""

    def __init__(self, children: Sequence[ChildSpec], on_ready: Callable[[], None] | None = None) -> None:
        """`on_ready` is called once, when every child that can say so has said it is ready."""
        self._children = [_Child(spec) for spec in children]
        self._on_ready = on_ready
        self._stopping = threading.Event()
        self._hurry = False
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)

    def stop(self) -> None:
        """Asks `run` to stop the children and return; may be called from any thread, or from a signal handler."""
        self._stopping.set()
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"s")

    def pids(self) -> dict[str, int]:
        """The process ids of the children that run at this moment, by name."""
        return {child.spec.name: child.pid for child in self._children if child.pid is not None}

    def run(self) -> int:
        """Blocks until SIGINT, SIGTERM, SIGHUP or `stop()`; returns 0 once no process of any child is left.

        Call it from the main thread, or from one that lives as long as the program: the kernel takes the end of the
        calling thread for the end of the supervisor.
        """
        # Grandchildren whose parent was killed come to this process, which can then wait for them by group.
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with self._signals():
            try:
                while not self._stopping.is_set():
                    self._tend()
                    self._sleep(self._next_look_s())
            finally:
                for child in reversed(self._children):
                    self._end(child)
        return 0

    def _tend(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if self._stopping.is_set():
                return
            if child.pid is None:
                if now >= child.start_at:
                    self._start(child)
            elif _has_exited(child.pid):
                self._plan_restart(child)
            elif not child.ready and _is_ready(child.spec, child.pid):
                child.ready = True
                if child.spec.is_ready is not None:
                    seconds = time.monotonic() - child.started
                    log.info("%s: %s (after %.1f s)", child.spec.name, child.spec.ready_message, seconds)
        if self._on_ready is not None and all(child.ready for child in self._children):
            announce, self._on_ready = self._on_ready, None
            announce()

    def _next_look_s(self) -> float:
        """SIGCHLD ends the sleep early; only readiness and planned restarts need a clock."""
        now = time.monotonic()
        waits = [1.0]
        for child in self._children:
            if child.pid is None:
                waits.append(max(0.0, child.start_at - now))
            elif not child.ready:
                waits.append(0.1)
        return min(waits)

    def _start(self, child: _Child) -> None:
        spec = child.spec
        child.started, child.ready = time.monotonic(), False
        parent = os.getpid()

        def die_with_parent() -> None:
            # Not SIGTERM: Triton's handler of it can hang, and nobody would be left to notice.
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # the supervisor died between the fork and the line above

        try:
            child.process = subprocess.Popen(
                list(spec.argv),
                env=None if spec.env is None else dict(spec.env),
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=None if spec.never_waits else subprocess.PIPE,
                stderr=None if spec.never_waits else subprocess.STDOUT,
                process_group=0,
                preexec_fn=die_with_parent,  # the kernel offers no other way to set it before exec
            )
        except OSError as error:
            self._pause(child, f"cannot be started: {error}")
            return
        child.pid = child.process.pid
        if child.process.stdout is not None:
            child.relay = threading.Thread(target=_relay, args=(child.process.stdout,), daemon=True)
            child.relay.start()
        log.debug("%s: started, process %d", spec.name, child.pid)

    def _plan_restart(self, child: _Child) -> None:
        up_s = time.monotonic() - child.started
        status = self._bury(child)
        port = child.spec.port
        if port is not None and (whom := by_whom(port)):
            status += f" (port {port} is in use{whom})"
        if up_s >= STEADY_AFTER_S:
            child.pause_s = FIRST_PAUSE_S
        self._pause(child, f"{status} after {up_s:.1f} s")

    def _pause(self, child: _Child, what_happened: str) -> None:
        log.error("%s: %s; starting it again in %.1f s", child.spec.name, what_happened, child.pause_s)
        child.start_at = time.monotonic() + child.pause_s
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)

    def _end(self, child: _Child) -> None:
        if child.pid is None:
            return
        log.info("%s: stopping", child.spec.name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM)  # to the leader alone: it ends its own children in its own order
        deadline = time.monotonic() + child.spec.grace_s
        while not _has_exited(child.pid) and time.monotonic() < deadline and not self._hurry:
            self._sleep(0.1)
        if not _has_exited(child.pid):
            reason = "a second signal came" if self._hurry else f"it did not stop within {child.spec.grace_s:.0f} s"
            log.warning("%s: killing it, %s", child.spec.name, reason)
        self._bury(child)

    def _bury(self, child: _Child) -> str:
        """Ends what is left of the child's group, reaps all of it, cleans up; returns how the child itself ended."""
        assert child.pid is not None
        assert child.process is not None
        # The dead leader is not yet reaped, so its process group number cannot belong to anyone else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        code = child.process.wait()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-child.pid, 0)
        if child.relay is not None:
            child.relay.join(RELAY_S)  # the pipe ends with the last of the group
        child.pid = child.process = child.relay = None
        if child.spec.on_exit is not None:
            child.spec.on_exit()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

    def _sleep(self, seconds: float) -> None:
        readable, _, _ = select.select([self._wake_read], [], [], seconds)
        if readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Takes the signals over while `run` runs, in the main thread (Python allows handlers nowhere else)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self._hurry = self._stopping.is_set()
            self.stop()

        def on_child(_number: int, _frame: FrameType | None) -> None:
            """Does nothing: the wake-up descriptor is written to, and that ends the sleep."""

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asked for it to be ignored
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, on_child)
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)


def _relay(pipe: IO[bytes]) -> None:
    """Write line by line to standard error what comes out of the pipe, until nobody can write to it any more."""
    with pipe:
        while line := pipe.readline(LONGEST_LINE):
            text = line.decode(errors="backslashreplace").rstrip("\r\n")
            sys.stderr.write(visible(text) + "\n")  # noqa: TID251 (each line as it comes: a console would lay it out)
            sys.stderr.flush()


def _is_ready(spec: ChildSpec, group: int) -> bool:
    if spec.is_ready is None:
        return True
    return spec.is_ready() and not (spec.port is not None and only_others_listen(spec.port, group))


def _has_exited(pid: int) -> bool:
    """Looks without reaping, so that the process group stays ours until it is empty."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
