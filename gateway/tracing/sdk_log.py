"""What of the SDK's own log is written? Each kind of line once a minute, without a secret that stands in it.

It tells of each batch that a collector did not take, several times: a collector that is away would fill the log.
"""

import logging
import time
from collections.abc import Mapping
from urllib.parse import unquote

EVERY_S = 60.0
MOST_KINDS = 100
HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
SHORTEST_SECRET = 4

logger = logging.getLogger(__name__)


class SparseHandler(logging.Handler):
    """Passes on one line of each kind a minute."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._secrets = secrets
        self._told: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or none."""
        now = time.monotonic()
        kind = str(record.msg)
        if now - self._told.get(kind, -EVERY_S) < EVERY_S or len(self._told) > MOST_KINDS:
            return
        self._told[kind] = now
        line = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            line += f" {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        for secret in self._secrets:
            line = line.replace(secret, "…")
        logger.log(record.levelno, "OpenTelemetry: %s", " ".join(line.split()))


def log_sparsely(environment: Mapping[str, str]) -> None:
    """Let what OpenTelemetry logs go this way from now on; calling it again changes nothing."""
    sdk = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, SparseHandler) for handler in sdk.handlers):
        sdk.addHandler(SparseHandler(_secrets(environment)))
        sdk.propagate = False


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of the headers that a collector is sent."""
    found = []
    for pair in ",".join(environment.get(name, "") for name in HEADERS).split(","):
        written = pair.partition("=")[2].strip()
        found += [value for value in (written, unquote(written)) if len(value) >= SHORTEST_SECRET]
    return found
