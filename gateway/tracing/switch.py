"""Is tracing on? Where OpenTelemetry's own environment variables say where spans go, and its packages are there."""

import logging
import os
from collections.abc import Mapping

from gateway.metrics import Metrics
from gateway.tracing.parts import Tracing
from repository.spelling import as_called

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
DISABLED = "OTEL_SDK_DISABLED"
OF_OTHERS = "opentelemetry"

logger = logging.getLogger(__name__)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces; an empty variable is one that is not set."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return False
    if exporter := environment.get(EXPORTER, "").strip():
        return exporter != "none"
    return any(environment.get(name, "").strip() for name in ENDPOINTS)


def start_tracing(metrics: Metrics) -> Tracing | None:
    """What follows requests in this process; None where it is off, or cannot be: one line of the log says why.

    Nothing of OpenTelemetry's SDK is imported where it is off; FastAPI imports its API in any case.
    """
    if not is_wanted(os.environ):
        return None
    try:
        from gateway.tracing.provider import open_tracing

        return open_tracing(metrics)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(OF_OTHERS):
            raise
        why = f"the package {error.name} is not installed: pip install '.[tracing]' brings it"
        logger.error("Requests are not traced, although OTEL_* asks for it: %s.", as_called(why))
    except Exception as error:
        # A mistake in a variable, which the SDK raises as whatever came; sentences are answered all the same.
        logger.error("Requests are not traced, although OTEL_* asks for it: %s", error)
    return None
