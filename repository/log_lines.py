"""How does a program log? To stderr, a line for each event, whatever names are in it."""

import logging
import sys
from typing import Any

from repository.names import visible

FORM = "%(asctime)s %(levelname)s %(message)s"


class LineFormatter(logging.Formatter):
    """A line is one line; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """The line without a traceback."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback."""
        return "\n".join(map(visible, super().formatException(ei).split("\n")))


def log_to_stderr(form: str = FORM) -> None:
    """Let what this process logs go to stderr, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
