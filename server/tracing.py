"""Which options make Triton add spans of its own to the traces that its callers begin?

In OpenTelemetry's mode Triton follows every call that comes with a `traceparent`, whatever its flags say; by rate 0 it
follows no other. So whoever calls decides, by sending that header for a trace that is recorded, and for no other.
"""

from collections.abc import Mapping

SERVICE = "triton"
"""`service.name` of Triton's spans."""
DEFAULT_ENDPOINT = "http://localhost:4318"
"""Of OTLP over HTTP, by OpenTelemetry's specification."""


def trace_options(environment: Mapping[str, str]) -> list[str]:
    """Triton's options for spans that go where OpenTelemetry's variables say, as JSON over HTTP: it speaks no other."""
    settings = (
        "mode=opentelemetry",
        "level=TIMESTAMPS",  # no tensors: token ids can be read back as text
        "rate=0",
        f"opentelemetry,resource=service.name={SERVICE}",
        f"opentelemetry,url={traces_url(environment)}",
    )
    return [f"--trace-config={setting}" for setting in settings]


def traces_url(environment: Mapping[str, str]) -> str:
    """Where spans are posted: the variable for traces as it is, or that for all signals with a path for traces."""
    if whole := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return whole
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or DEFAULT_ENDPOINT
    return f"{base.rstrip('/')}/v1/traces"
