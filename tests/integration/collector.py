"""A receiver of OTLP over HTTP, as collectors are: it decodes the protobuf that comes, and keeps the spans."""

import base64
import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.waiting import wait_until

SERVER, CLIENT, INTERNAL = 2, 3, 1
ERROR = 2

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""Of a caller."""


@dataclass(frozen=True)
class Received:
    """One span, with the resource that it came from."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    message: str
    state: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    resource: dict[str, Any] = field(repr=False)


class Collector(ThreadingHTTPServer):
    """Takes spans at `/v1/traces`, or refuses or ignores them."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.spans: list[Received] = []
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.released = threading.Event()
        self.released.set()
        """While it is not set, nobody is answered."""

    @property
    def url(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def trace(self, trace_id: str) -> list[Received]:
        """Its spans, in the order in which they began."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.start_ns)

    def wait_for(self, trace_id: str, spans: int) -> list[Received]:
        """The spans of a trace, once there are so many."""
        wait_until(lambda: len(self.trace(trace_id)) >= spans, 20, f"{spans} spans of {trace_id}: {self.spans}")
        return self.trace(trace_id)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        collector = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        collector.requests += 1
        collector.headers.append({name.lower(): value for name, value in self.headers.items()})
        collector.released.wait()
        if collector.status == 200 and self.path == "/v1/traces":
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            is_json = (self.headers["content-type"] or "").startswith("application/json")
            collector.spans += _spans(_of_json(body) if is_json else ExportTraceServiceRequest.FromString(body))
        self.send_response(collector.status if self.path == "/v1/traces" else 404)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged."""


@contextlib.contextmanager
def running_collector(port: int = 0) -> Iterator[Collector]:
    """A collector that listens."""
    with Collector(port) as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.released.set()
            collector.shutdown()


def _of_json(body: bytes) -> ExportTraceServiceRequest:
    """OTLP's JSON, in which Triton writes: as protobuf's, but with ids in hexadecimal digits."""

    def based(value: dict[str, Any]) -> dict[str, Any]:
        ids = {
            name: base64.b64encode(bytes.fromhex(digits)).decode()
            for name, digits in value.items()
            if name.replace("_", "").lower() in ("traceid", "spanid", "parentspanid")
        }
        return {**value, **ids}

    return json_format.ParseDict(json.loads(body, object_hook=based), ExportTraceServiceRequest(), True)


def _spans(request: ExportTraceServiceRequest) -> list[Received]:
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code,
            span.status.message,
            span.trace_state,
            _values(span.attributes),
            [(event.name, _values(event.attributes)) for event in span.events],
            [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            _values(of_resource.resource.attributes),
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def traceparent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{SPAN}-{flags}"}


def fresh(number: int) -> str:
    """A trace's id that no other test has."""
    return f"{number:032x}"


def named(spans: list[Received], name: str) -> Received:
    (found,) = [span for span in spans if span.name == name]
    return found


def log_line(log: Path, request_id: str) -> dict[str, Any]:
    """What the log says of a request, once it is written."""
    lines: list[dict[str, Any]] = []

    def is_there() -> bool:
        lines[:] = [json.loads(line) for line in log.read_text().splitlines() if f'"{request_id}"' in line]
        return bool(lines)

    wait_until(is_there, 5, f"a line of {request_id}")
    return lines[0]


def tree(spans: list[Received]) -> str:
    """The spans of one trace, each below its parent: what began when, and how long it took."""
    first = min(span.start_ns for span in spans)
    known = {span.span_id for span in spans}
    lines = []

    def add(span: Received, depth: int) -> None:
        at, took = (span.start_ns - first) / 1e6, (span.end_ns - span.start_ns) / 1e6
        service = span.resource.get("service.name", "")
        lines.append(f"{'  ' * depth}{span.name:<{34 - 2 * depth}} {service:<16} +{at:6.2f} ms {took:7.2f} ms")
        for child in sorted((s for s in spans if s.parent_id == span.span_id), key=lambda s: s.start_ns):
            add(child, depth + 1)

    for root in (span for span in spans if span.parent_id not in known):
        add(root, 0)
    return "\n".join(lines)
