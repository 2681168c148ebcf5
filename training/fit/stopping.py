"""Ctrl-C and SIGTERM while training: the step is ended, a checkpoint written, and then the run stops."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from transformers import TrainerCallback

# A kill -9 loses no more than this of a long epoch.
SAVED_EVERY_S = 300.0


class Stop:
    """Whether somebody asked for the end."""

    requested = False


@contextmanager
def stopping_between_steps() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM set the flag that is yielded; a second one raises KeyboardInterrupt at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(*_: Any) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class KeepsCheckpoints(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Has a checkpoint written every few minutes and when the run is to stop, and then stops it."""

    def __init__(self, stop: Stop, saved: Callable[[], None]) -> None:
        """Take the flag, and what to call after each checkpoint."""
        self._stop = stop
        self._saved = saved
        self._last = monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Ask for a checkpoint, unless the end of the epoch writes one anyway."""
        at_an_end = control.should_training_stop or state.epoch == int(state.epoch)
        if not at_an_end and (self._stop.requested or monotonic() - self._last >= SAVED_EVERY_S):
            control.should_save = True
            control.should_log = True  # the loss so far, which a run that goes on could not know

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """The checkpoint is whole."""
        self._last = monotonic()
        self._saved()
        if self._stop.requested:
            raise KeyboardInterrupt
