"""Gives freed memory back to the system, which glibc does not by itself after a large tokenizer was read.

Reading a `tokenizer.json` of 250,000 pieces takes 300 MB for a moment and 300 MB for as long as it is used, in small
blocks, on whichever thread reads it. glibc keeps what is freed for the arena of that thread, so that a process that
has read fourteen of them, one at a time, holds 2.7 GB; with `malloc_trim` after each it holds 330 MB (measured).
"""

import ctypes
import threading
from collections.abc import Callable

SOON_S = 0.5


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's function; None with another C library, where there is nothing to do."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


_trim = _malloc_trim()


def give_back() -> None:
    """Return what is free to the system. Blocks for some 0.1 s, other threads run on: call it on a thread."""
    if _trim is not None:
        _trim(0)


def give_back_soon() -> None:
    """The same on a thread of its own, in a moment: for an object's finalizer, which runs before it is freed."""
    timer = threading.Timer(SOON_S, give_back)
    timer.daemon = True
    timer.start()
