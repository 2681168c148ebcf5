"""What does the span of a request say? What OpenTelemetry's conventions for HTTP servers ask, and nothing of its text.

Neither the query nor the headers are in it, but for host and user agent; the path is there if it is one of ours.
`gateway.tracing.rpc_call` has those of calls by gRPC.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from starlette.types import Scope

from gateway.tracing.traceparent import TRACESTATE, TraceIds

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
OTHER_METHOD = "_OTHER"
LONGEST_VALUE = 256
"""Characters of what a caller wrote that are kept."""
LONGEST_STATE = 4096
"""Bytes of a `tracestate`; a longer one is dropped, as the standard allows."""
HUNG_UP = 499
MOST_CALLS = 64
"""Calls to Triton of one request that have spans: of a thousand sentences, the rest look like these."""
FACTS = ("version", "sentences", "tokens", "windows")
"""Of what the log line says."""

REQUEST: ContextVar["OpenTelemetryRequest | None"] = ContextVar("request", default=None)
"""The request that the running task answers, if it is recorded."""


class OpenTelemetryRequest(ABC):
    """One request and its span; those of its parts are children of that."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.context = set_span_in_context(span, Context())
        """For children; without anything else that a caller sent, such as baggage."""
        own = span.get_span_context()
        sampled = bool(own.trace_flags & TraceFlags.SAMPLED)
        self.ids = TraceIds(f"{own.trace_id:032x}", f"{own.span_id:016x}", sampled)
        self.asked_ns = 0
        """When its last call to Triton ended, in nanoseconds since 1970; 0 before."""
        self.calls = 0
        self._error: str | None = None

    def failed(self, error: BaseException) -> None:
        """It cannot be answered because of this."""
        self._error = type(error).__name__

    def asked_again(self, reason: str) -> None:
        """Triton is asked anew."""
        self.span.add_event("retry", {"classifier.retry.reason": reason})

    def end(self, route: str | None, status: int | str, model: str, facts: Mapping[str, Any]) -> dict[str, str] | None:
        """It is answered: its span ends, and an exemplar may name it."""
        span = self.span
        if not span.is_recording():
            span.end()
            return None
        found: dict[str, Any] = {f"classifier.{name}": facts[name] for name in FACTS if name in facts}
        if model:
            found["classifier.model"] = model
        found |= self._outcome(route, status)
        if self._is_servers(status):
            found["error.type"] = self._error or str(status)
            span.set_status(Status(StatusCode.ERROR))
        span.set_attributes(found)
        span.end()
        return {"trace_id": self.ids.trace_id, "span_id": self.ids.span_id} if self.ids.sampled else None

    @abstractmethod
    def _outcome(self, route: str | None, status: Any) -> dict[str, Any]:
        """Attributes that say how it ended."""

    @abstractmethod
    def _is_servers(self, status: Any) -> bool:
        """Whether it failed by the server's doing, not by a mistake of its caller's."""


class HttpRequest(OpenTelemetryRequest):
    """One request by HTTP."""

    def __init__(self, span: Span, name: str, path: str) -> None:
        super().__init__(span)
        self._name = name
        self._path = path

    def _outcome(self, route: str | None, status: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if route is not None:
            self.span.update_name(f"{self._name} {route}")
            found["http.route"] = route
            found["url.path"] = self._path
        if status == HUNG_UP:
            found["error.type"] = "caller hung up"  # no status was sent
        else:
            found["http.response.status_code"] = status
        return found

    def _is_servers(self, status: int) -> bool:
        return status >= 500


def begin_request(tracer: Tracer, scope: Scope, path: str, caller: TraceIds | None) -> HttpRequest:
    """Begin the span of a request, in the caller's trace if there is one; the sampler decides whether it is kept."""
    method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
    states = [value for name, value in scope["headers"] if name == TRACESTATE]
    name = "HTTP" if method == OTHER_METHOD else method
    span = tracer.start_span(
        name,
        context_of(caller, states),
        SpanKind.SERVER,
        _attributes(scope, method),
        start_time=time.time_ns(),
    )
    return HttpRequest(span, name, path[:LONGEST_VALUE])


def context_of(caller: TraceIds | None, states: Sequence[bytes]) -> Context:
    """What a span of ours is below: the caller's span, with the values of `tracestate` that came with it."""
    if caller is None:
        return Context()
    state = b",".join(states).decode("latin-1")
    known = TraceState.from_header([state]) if state and len(state) <= LONGEST_STATE else TraceState()
    flags = TraceFlags(TraceFlags.SAMPLED if caller.sampled else TraceFlags.DEFAULT)
    parent = SpanContext(int(caller.trace_id, 16), int(caller.span_id, 16), True, flags, known)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes(scope: Scope, method: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if method == OTHER_METHOD:
        found["http.request.method_original"] = scope["method"][:LONGEST_VALUE]
    if scope.get("client"):
        found["client.address"] = scope["client"][0]
    host = b""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"user-agent":
            found["user_agent.original"] = value[:LONGEST_VALUE].decode("latin-1")
    address, port = _server(host, scope.get("server"))
    if address:
        found["server.address"] = address
    if port is not None:
        found["server.port"] = port
    return found


def _server(host: bytes, bound: tuple[str, int | None] | None) -> tuple[str, int | None]:
    """Address and port as the caller wrote them, else those that are listened on."""
    if not host:
        return (bound[0], bound[1]) if bound else ("", None)
    name, colon, port = host[:LONGEST_VALUE].decode("latin-1").rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5:
        return name.strip("[]"), int(port)
    return host[:LONGEST_VALUE].decode("latin-1").strip("[]"), None
