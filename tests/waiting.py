"""How a test waits for something that happens by itself: it looks again and again, and gives up with what it lacked."""

import time
from collections.abc import Callable

import pytest

PATIENCE = 4
"""How many times as long as on a quiet machine a wait may take: the tests say what happens, not how fast."""


def wait_until(condition: Callable[[], object], timeout_s: float, what: str, pause_s: float = 0.05) -> None:
    """Poll until the condition holds; fail the test with `what` if it does not within `PATIENCE * timeout_s`."""
    deadline = time.monotonic() + PATIENCE * timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE * timeout_s:g} s: {what}")
        time.sleep(pause_s)
