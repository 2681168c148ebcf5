"""What the span of a call by gRPC says of its caller, and which codes are the server's fault."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from gateway.rpc.codes import CODES
from gateway.tracing.rpc_call import begin_call
from gateway.tracing.traceparent import ids_in

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLERS = {"CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE"}


def ended(peer: str, status: str = "OK", metadata: Any = (), error: Exception | None = None) -> Any:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    caller = ids_in(f"00-{TRACE}-{SPAN}-01".encode())
    call = begin_call(provider.get_tracer("test"), "package.Service/Method", metadata, peer, caller)
    if error is not None:
        call.failed(error)
    call.end("/package.Service/Method", status, "", {})
    (span,) = exporter.get_finished_spans()
    return span


@pytest.mark.parametrize(
    ("peer", "address", "port"),
    [
        ("ipv4:10.1.2.3:50051", "10.1.2.3", 50051),
        ("ipv6:%5B::1%5D:50051", "::1", 50051),
        ("ipv6:[2001:db8::7]:443", "2001:db8::7", 443),
        ("unix:/run/socket", None, None),
        ("unix:", None, None),
        ("", None, None),
    ],
)
def test_the_callers_end_is_read_as_grpc_writes_it(peer: str, address: str | None, port: int | None) -> None:
    found = ended(peer).attributes
    assert (found.get("client.address"), found.get("client.port")) == (address, port)


@pytest.mark.parametrize("status", sorted({*CODES.values(), "CANCELLED", "OK"}))
def test_only_what_the_server_did_is_an_error(status: str) -> None:
    span = ended("", status)
    is_servers = status not in {*CALLERS, "FAILED_PRECONDITION", "OK"}
    assert (span.status.status_code is StatusCode.ERROR) == is_servers
    assert span.attributes.get("error.type") == (status if is_servers else None)
    assert span.attributes["rpc.response.status_code"] == status


def test_of_the_metadata_only_the_state_and_the_user_agent_are_kept() -> None:
    metadata = [
        ("user-agent", "grpc-go/1.80 " + "x" * 1000),
        ("tracestate", "vendor=one"),
        ("tracestate", "other=two"),
        ("authorization", "Bearer s3cret"),
        ("key-bin", b"s3cret"),
    ]
    span = ended("", "UNAVAILABLE", metadata, ValueError("s3cret"))
    assert len(span.attributes["user_agent.original"]) == 256
    assert span.attributes["error.type"] == "ValueError"
    assert span.context.trace_state.to_header() == "vendor=one,other=two"
    assert "s3cret" not in repr(span.to_json())
