"""Interrupts that wait while a process is being started."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back while the block runs; at its end they arrive as they would have.

    For `subprocess.Popen`: a handler that raises in the middle of it leaves a child behind that nobody can end, because
    nobody was told its number. Signals that are ignored or left to their default stay so, for the child inherits that.
    """
    if threading.current_thread() is not threading.main_thread():  # Python runs handlers nowhere else
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    taken = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in taken:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
    for arrived in dict.fromkeys(held):
        signal.raise_signal(arrived)
