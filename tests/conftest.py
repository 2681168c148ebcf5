"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Undo that a shell which starts the tests in the background lets them, and what they start, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
