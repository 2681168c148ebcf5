"""How do log lines leave a process that must never wait for whoever reads them? Through a queue, on its own thread.

A pipe that nobody reads, a full disk, a reader that is gone or a stopped terminal would otherwise hold up, or fail,
whatever writes a line. Here a line that cannot be written, or waits in vain for its turn, is dropped and counted.
"""

import atexit
import contextlib
import io
import math
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

MOST_BYTES = 1024 * 1024
"""Most that waits to be written to one place, some 4,000 lines of the gateway's; a longer line waits alone."""

STALL_S = 1.0
"""A reader that takes nothing for so long is taken for none: new lines are dropped until it reads on."""

LINE_OVERHEAD_BYTES = 64
"""What a waiting line takes beside its text, about."""

GATHER_S = 0.01
"""Pause after a write: a lone line is written at once, but under load they gather, and threads change less often."""

DRAIN_S = 2.0
"""How long the end of a process waits for lines that are not written yet."""


class LineQueue:
    """Whole lines for one file descriptor, written in order by a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        # Reentrant: a destructor may log wherever Python happens to collect garbage, so in here, too.
        self._lock = threading.RLock()
        self._wake = threading.Lock()  # released when there is something to write; an Event cannot be set within `set`
        self._wake.acquire()
        self._bytes = 0
        self._writing_since = math.inf
        self._dropped = 0
        self._torn = False
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, lines: bytes) -> None:
        """Queue one or more whole lines; returns at once, whatever becomes of them."""
        size = len(lines) + LINE_OVERHEAD_BYTES
        with self._lock:
            if self._bytes and (self._bytes + size > MOST_BYTES or self._is_stalled()):
                self._dropped += lines.count(b"\n")
                return
            self._bytes += size
            self._lines.append(lines)
        if self._wake.locked():
            with contextlib.suppress(RuntimeError):  # another thread was first
                self._wake.release()

    def drain(self, until: float) -> None:
        """Wait until all is written, or nobody reads, at most until this moment of the monotonic clock."""
        while self._bytes and not self._is_stalled() and time.monotonic() < until:
            time.sleep(0.005)

    def take_dropped(self) -> int:
        """Lines dropped since this was last asked."""
        if not self._dropped:
            return 0
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def _is_stalled(self) -> bool:
        return time.monotonic() - self._writing_since > STALL_S

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            while self._lines:
                self._write_next()
            time.sleep(GATHER_S)

    def _write_next(self) -> None:
        """Write as many lines as a pipe takes in one piece, so that those of other processes do not cut them up."""
        batch = [self._lines.popleft()]
        length = len(batch[0])
        while self._lines and length + len(self._lines[0]) <= select.PIPE_BUF:
            batch.append(self._lines.popleft())
            length += len(batch[-1])
        self._writing_since = time.monotonic()
        lost = self._write(b"".join(batch))
        self._writing_since = math.inf
        with self._lock:
            self._bytes -= length + LINE_OVERHEAD_BYTES * len(batch)
            self._dropped += lost

    def _write(self, data: bytes) -> int:
        """Write all of it; returns how many lines could not be written whole."""
        if self._torn:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._descriptor, data[written:])
                except BlockingIOError:  # somebody made the pipe or terminal non-blocking, for all who share it
                    self._writable.poll()
        except OSError:  # a full disk, a reader that is gone; the next line may fare better
            lost = data.count(b"\n", written) - (self._torn and not written)
            self._torn = data[written - 1 : written] != b"\n" if written else self._torn
            return lost
        self._torn = False
        return 0


class _QueuedBytes(io.RawIOBase):
    """The binary side of a stream; what is written are whole lines."""

    def __init__(self, queue: LineQueue) -> None:
        self._queue = queue

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._queue.put(bytes(data))
        return len(data)


class QueuedStream(io.TextIOBase):
    """Stands in for standard output or error: text goes to the queue as its lines become whole, or it is flushed."""

    def __init__(self, queue: LineQueue, instead_of: TextIO) -> None:
        self.buffer = _QueuedBytes(queue)
        self._queue = queue
        self._original = instead_of
        self._begun = ""
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As before."""
        return self._original.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """There is no text that cannot be written."""
        return "backslashreplace"

    def fileno(self) -> int:
        """The descriptor that the lines end up in."""
        return self._original.fileno()

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return self._original.isatty()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Queue what ends with a line break; keep the rest for the next call."""
        with self._lock:
            lines, newline, self._begun = (self._begun + text).rpartition("\n")
            if newline:
                self._queue.put((lines + newline).encode(self.encoding, self.errors))
        return len(text)

    def flush(self) -> None:
        """Queue a line that has only begun, such as a progress bar's."""
        with self._lock:
            begun, self._begun = self._begun, ""
            if begun:
                self._queue.put(begun.encode(self.encoding, self.errors))


_queues: list[LineQueue] = []


def queue_output() -> None:
    """Let all that this process prints and logs from now on go through queues; calling it again changes nothing.

    Both streams share one queue where they lead to the same place, so that the order of their lines is kept. Programs
    that are started inherit the descriptors, not the queues.
    """
    if _queues:
        return
    # A stream is None if the program was started with its descriptor closed; another file could get its number.
    out, err = (stream or Path(os.devnull).open("w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    _queues.append(LineQueue(out.fileno()))
    if not os.path.sameopenfile(out.fileno(), err.fileno()):
        _queues.append(LineQueue(err.fileno()))
    sys.stdout, sys.stderr = QueuedStream(_queues[0], out), QueuedStream(_queues[-1], err)
    atexit.register(drain_output)


def drain_output() -> None:
    """Wait until all is written that was queued; not for long, if whoever reads it does not."""
    until = time.monotonic() + DRAIN_S
    for queue in _queues:
        queue.drain(until)


def count_dropped(increase: Callable[[int], None]) -> None:
    """Tell a counter how many lines were dropped since this was last called, if any.

    A call of its own, not a callback: a line may be dropped while its writer holds the counter's lock.
    """
    for queue in _queues:
        if dropped := queue.take_dropped():
            increase(dropped)
