"""What does the span of a call by gRPC say? What OpenTelemetry's conventions for gRPC servers ask, nothing of its text.

They are those of https://opentelemetry.io/docs/specs/semconv/rpc/grpc/. Of the metadata only the user agent is in it.
"""

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from opentelemetry.trace import SpanKind, Tracer

from gateway.tracing.request import LONGEST_VALUE, OpenTelemetryRequest, context_of
from gateway.tracing.traceparent import TRACESTATE, TraceIds

OF_SERVER = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that the conventions call errors of a server; all others are its callers' doing, or pass."""

Metadata = Sequence[tuple[str, str | bytes]]


class RpcCall(OpenTelemetryRequest):
    """One call by gRPC."""

    def _outcome(self, _: str | None, status: str) -> dict[str, Any]:
        return {"rpc.response.status_code": status}

    def _is_servers(self, status: str) -> bool:
        return status in OF_SERVER


def begin_call(tracer: Tracer, method: str, metadata: Metadata, peer: str, caller: TraceIds | None) -> RpcCall:
    """Begin the span of a call, in the caller's trace if there is one; the sampler decides whether it is kept.

    Args:
        tracer: makes spans.
        method: as gRPC writes it, without the slash before the service.
        metadata: what came with the call.
        peer: the caller's end of the connection, as gRPC names it.
        caller: the span of the caller's that it belongs to.
    """
    state = TRACESTATE.decode()
    states = [value.encode() for name, value in metadata if name == state and isinstance(value, str)]
    attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": method} | _of_peer(peer)
    for name, value in metadata:
        if name == "user-agent" and isinstance(value, str):
            attributes["user_agent.original"] = value[:LONGEST_VALUE]
    span = tracer.start_span(method, context_of(caller, states), SpanKind.SERVER, attributes, start_time=time.time_ns())
    return RpcCall(span)


def _of_peer(peer: str) -> dict[str, Any]:
    """Address and port in gRPC's `ipv4:127.0.0.1:50051` or `ipv6:%5B::1%5D:50051`; nothing of other kinds."""
    kind, _, rest = unquote(peer).partition(":")
    address, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return {}
    return {"client.address": address.strip("[]"), "client.port": int(port)}
