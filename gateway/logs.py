"""How does the gateway log? Lines of JSON for requests, plain ones for all else; neither ever holds up an answer."""

import logging
import sys
from typing import Any

import structlog
from pydantic_core import to_json

from repository.log_lines import log_to_stderr
from repository.log_queue import queue_output


def configure_logging() -> None:
    """Set logging up in this process; calling it again changes nothing."""
    queue_output()
    log_to_stderr("%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)


def request_log() -> Any:
    """Writes one line of JSON a call to standard output."""
    return structlog.wrap_logger(
        structlog.BytesLogger(sys.stdout.buffer),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _json(value: Any, **_: Any) -> bytes:
    return to_json(value)
