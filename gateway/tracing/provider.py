"""How is OpenTelemetry's SDK set up? By its own environment variables, in each process anew."""

import importlib.metadata
import logging
import os
import sys
import uuid

from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter

from gateway.settings import listed
from gateway.tracing.export import CountingProcessor, Export, SpanCounts
from gateway.tracing.sdk_log import log_sparsely
from gateway.tracing.switch import EXPORTER
from gateway.tracing.tracing import OpenTelemetryTracing
from repository.spelling import DISTRIBUTION, as_called

SERVICE = "text-classifier"
"""`service.name`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES names it."""
QUEUE = 2048
GROUP = "opentelemetry_traces_exporter"
"""Entry points by which packages offer exporters, as the SDK's own start looks for them."""
PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}

logger = logging.getLogger(__name__)


def open_tracing(counts: SpanCounts) -> OpenTelemetryTracing:
    """Set up what this process records and sends.

    Raises:
        ValueError, LookupError: a variable says what cannot be done.
    """
    log_sparsely(os.environ)
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    for exporter in _exporters():
        provider.add_span_processor(CountingProcessor(exporter, counts, _queue_size()))
    logger.info("Requests are traced.")
    return OpenTelemetryTracing(provider.get_tracer("gateway"), Export(provider))


def _queue_size() -> int:
    value = os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, "").strip()
    if value and not value.isdecimal():
        raise ValueError(f"{OTEL_BSP_MAX_QUEUE_SIZE} is {value!r}, which is no number.")
    return int(value) if value else QUEUE


def _exporters() -> list[SpanExporter]:
    """One for each that OTEL_TRACES_EXPORTER names."""
    return [_exporter(name) for name in dict.fromkeys(listed(os.environ.get(EXPORTER, "")) or ["otlp"])]


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stdout, formatter=lambda span: span.to_json(indent=None) + "\n")
    if name == "otlp":
        protocol = _first(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL) or "http/protobuf"
        if protocol not in PROTOCOLS:
            raise LookupError(f"{OTEL_EXPORTER_OTLP_PROTOCOL} is {protocol!r}: say http/protobuf or grpc.")
        name = PROTOCOLS[protocol]
    found = importlib.metadata.entry_points(group=GROUP, name=name)
    if not found:
        brings = as_called("pip install '.[tracing]' brings otlp_proto_http")
        raise LookupError(f"no installed package offers the exporter {name}; {brings}.")
    exporter: SpanExporter = next(iter(found)).load()()
    return exporter


def _first(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _resource() -> Resource:
    """What all spans of this process say of it; what the environment says has precedence."""
    given = Resource.create()
    own: dict[str, str | int] = {
        "process.pid": os.getpid(),
        "service.instance.id": str(uuid.uuid4()),  # of several workers, each is an instance
        "service.version": _version(),
    }
    kept = {name: value for name, value in own.items() if name not in given.attributes}
    if str(given.attributes.get("service.name", "")).startswith("unknown_service"):
        kept["service.name"] = SERVICE
    return given.merge(Resource(kept))


def _version() -> str:
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # an image holds the folders, not the package
