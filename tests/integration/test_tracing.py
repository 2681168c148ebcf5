"""What a trace says of a request, as a collector gets it: whose it is, what was done when, and nothing of the text."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.integration.collector import (
    CLIENT,
    ERROR,
    INTERNAL,
    SERVER,
    SPAN,
    TRACE,
    Collector,
    fresh,
    log_line,
    named,
    running_collector,
    traceparent,
)
from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.stack import Stack
from tests.integration.traced import OF_TRITON, PARTS, WAITING, traced_stack, wait_until_queued
from tests.integration.wire import Wire, get
from tests.waiting import wait_until

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def stack(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with traced_stack(collector, tmp_path_factory.mktemp("tracing")) as running:
        yield running


@pytest.fixture(scope="module")
def single(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with one call at a time, so that requests share it, and a name of its own."""
    settings = {"TRITON_CALLS": "1", "OTEL_SERVICE_NAME": "single", "OTEL_RESOURCE_ATTRIBUTES": "deployment=test"}
    with gateway_beside(stack, tmp_path_factory.mktemp("single") / "log", **settings) as gateway:
        yield gateway


def test_the_callers_trace_goes_on_through_the_gateway_and_triton(stack: Stack, collector: Collector) -> None:
    headers = {**traceparent(TRACE), "tracestate": "vendor=one,other=two", "baggage": "user=alice"}
    answer = stack.client.get("/classify", params={"sentence": "xylophone cat"}, headers=headers)
    assert answer.status_code == 200
    spans = collector.wait_for(TRACE, 7)
    root = named(spans, "GET /classify")
    assert (root.parent_id, root.kind, root.status) == (SPAN, SERVER, 0)
    assert [span.name for span in spans if span.parent_id == root.span_id] == PARTS
    call = named(spans, "call Triton")
    assert (call.kind, call.links) == (CLIENT, [])
    triton = [named(spans, name) for name in OF_TRITON]
    assert [span.parent_id for span in triton] == [call.span_id, triton[0].span_id, triton[1].span_id]
    assert {span.resource["service.name"] for span in triton} == {"triton"}
    assert {span.state for span in spans if span not in triton} == {"vendor=one,other=two"}
    for span in spans:
        assert root.start_ns <= span.start_ns <= span.end_ns
        assert "xylophone" not in repr(span)
        assert "alice" not in repr(span)


def test_spans_say_what_was_asked_and_how_it_went(stack: Stack, collector: Collector) -> None:
    trace_id = fresh(2)
    stack.client.post("/classify", json={"sentences": ["cat oak", "oak"]}, headers=traceparent(trace_id))
    spans = collector.wait_for(trace_id, 7)
    root = named(spans, "POST /classify").attributes
    expected = {
        "http.request.method": "POST",
        "http.route": "/classify",
        "http.response.status_code": 200,
        "url.path": "/classify",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": stack.ports["GATEWAY_PORT"],
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
        "classifier.model": "classifier",
        "classifier.version": 1,
        "classifier.sentences": 2,
        "classifier.tokens": 7,
    }
    assert {name: root.get(name) for name in expected} == expected
    assert root["user_agent.original"].startswith("python-httpx/")
    assert named(spans, "tokenize").attributes == {
        "classifier.version": 1,
        "classifier.sentences": 2,
        "classifier.tokens": 7,
    }
    call = named(spans, "call Triton").attributes
    assert call["server.port"] == stack.ports["TRITON_HTTP_PORT"]
    assert call["http.response.status_code"] == 200
    sizes = {name.removeprefix("classifier.batch."): value for name, value in call.items() if ".batch." in name}
    assert sizes == {"sentences": 2, "tokens": 7, "padded_tokens": 8}
    assert (call["classifier.model"], call["classifier.version"]) == ("classifier", 1)


@pytest.mark.parametrize(
    "values",
    [
        ["hello"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-01-more"],
        [f"00-{TRACE}-{SPAN}"],
        [f"00-{TRACE}-{SPAN}-01", f"00-{fresh(3)}-{SPAN}-01"],
        ["00-" + "a" * 5000],
    ],
)
def test_a_bad_header_begins_a_new_trace(stack: Stack, values: list[str]) -> None:
    headers = [("traceparent", value) for value in values] + [("X-Request-ID", f"bad-{hash(str(values)):x}")]
    answer = stack.client.get("/classify", params={"sentence": "cat"}, headers=headers)
    line = log_line(stack.log, answer.headers["x-request-id"])
    assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
    assert line["trace_id"] not in (TRACE, fresh(3), "0" * 32)


def test_a_later_version_of_the_header_is_understood(stack: Stack, collector: Collector) -> None:
    header = f"01-{fresh(4)}-{SPAN}-01-what.comes-later"
    stack.client.get("/classify", params={"sentence": "cat"}, headers={"traceparent": header})
    assert named(collector.wait_for(fresh(4), 7), "GET /classify").parent_id == SPAN


def test_what_the_caller_does_not_record_is_not_recorded(stack: Stack, collector: Collector) -> None:
    headers = {**traceparent(fresh(5), "00"), "X-Request-ID": "not-sampled"}
    assert stack.client.get("/classify", params={"sentence": "cat"}, headers=headers).status_code == 200
    assert log_line(stack.log, "not-sampled")["trace_id"] == fresh(5)
    stack.client.get("/classify", params={"sentence": "cat"}, headers=traceparent(fresh(6)))
    collector.wait_for(fresh(6), 7)
    assert collector.trace(fresh(5)) == []


def test_requests_behind_each_other_on_a_connection_have_traces_of_their_own(
    stack: Stack, collector: Collector
) -> None:
    """The second one inherits what the first one's task had; it is not recorded, nor is the one for health."""
    ask = "GET {} HTTP/1.1\r\nhost: gateway\r\ntraceparent: 00-{}-{}-{}\r\n\r\n"
    slow, fast = "/classify?top_k=1&sentence=cat", "/classify?sentence=cat"
    asked = [(slow, 7, "01"), (fast, 8, "00"), ("/health/ready", 9, "01"), (slow, 10, "00"), (fast, 11, "01")]
    with Wire(stack.ports["GATEWAY_PORT"]) as wire:
        wire.send("".join(ask.format(path, fresh(n), SPAN, flags) for path, n, flags in asked).encode())
        assert [wire.answer().status for _ in asked] == [200] * len(asked)
    for number in (7, 11):
        collector.wait_for(fresh(number), 7)
    assert [len(collector.trace(fresh(number))) for _, number, _ in asked] == [7, 0, 0, 0, 7]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/live/", "/metrics"])
def test_health_and_metrics_have_no_trace(stack: Stack, collector: Collector, path: str) -> None:
    trace_id = fresh(100 + len(path))
    assert stack.client.get(path, headers=traceparent(trace_id)).status_code == 200
    stack.client.get("/models", headers=traceparent(trace_id))
    assert [span.name for span in collector.wait_for(trace_id, 1)] == ["GET /models"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "name"),
    [
        ("GET", "/classify?sentence=", None, 422, "GET /classify"),
        ("POST", "/classify", {"sentences": 5}, 422, "POST /classify"),
        ("POST", "/predict", {"inputs": "xylophone"}, 200, "POST /predict"),
        ("HEAD", "/classify?sentence=xylophone", None, 200, "HEAD /classify"),
        ("DELETE", "/classify", None, 405, "DELETE /classify"),
        ("PROPFIND", "/classify", None, 405, "HTTP /classify"),
        ("GET", "/xylophone", None, 404, "GET"),
        ("GET", "/classify?sentence=xylophone&model=none", None, 404, "GET /classify"),
    ],
)
def test_each_kind_of_request_has_a_span(
    stack: Stack, collector: Collector, method: str, path: str, body: Any, status: int, name: str
) -> None:
    trace_id = fresh(hash((method, path, status)) % 2**100 + 2**100)
    answer = stack.client.request(method, path, json=body, headers=traceparent(trace_id))
    assert answer.status_code == status
    collector.wait_for(trace_id, 1)
    wait_until(lambda: name in [span.name for span in collector.trace(trace_id)], 5, name)
    root = named(collector.trace(trace_id), name)
    assert root.attributes["http.response.status_code"] == status
    assert root.status == 0  # a caller's mistake is none of the server's
    assert "xylophone" not in repr(collector.trace(trace_id))
    if method == "PROPFIND":
        assert root.attributes["http.request.method"] == "_OTHER"
        assert root.attributes["http.request.method_original"] == "PROPFIND"


def test_requests_that_share_a_call_are_linked(stack: Stack, single: Gateway, collector: Collector) -> None:
    first, *others = numbers = [fresh(20 + n) for n in range(5)]
    with contextlib.ExitStack() as opened:
        wires = [opened.enter_context(Wire(single.port)) for _ in numbers]
        assert single.metric(WAITING) == 0  # asked after them: all are connected
        with stack.hanging("tritonserver"):
            for place, (wire, trace_id) in enumerate(zip(wires, numbers, strict=True)):
                wire.send(get("cat", f"traceparent: 00-{trace_id}-{SPAN}-01\r\n".encode()))
                wait_until_queued(single, place)
        assert [wire.answer().status for wire in wires] == [200] * len(numbers)
    lone = named(collector.wait_for(first, 7), "call Triton")
    assert lone.attributes["classifier.batch.sentences"] == 1
    traces = [collector.wait_for(trace_id, spans) for trace_id, spans in zip(others, (7, 4, 4, 4), strict=True)]
    calls = [named(trace, "call Triton") for trace in traces]
    roots = [named(trace, "GET /classify") for trace in traces]
    assert [call.kind for call in calls] == [CLIENT, INTERNAL, INTERNAL, INTERNAL]
    assert {(call.start_ns, call.end_ns) for call in calls} == {(calls[0].start_ns, calls[0].end_ns)}
    assert {call.attributes["classifier.batch.sentences"] for call in calls} == {4}
    assert sorted(calls[0].links) == sorted((root.trace_id, root.span_id) for root in roots)
    assert [call.links for call in calls[1:]] == [[(calls[0].trace_id, calls[0].span_id)]] * 3
    waits = [named(trace, "wait for a call") for trace in traces]
    assert {wait.end_ns for wait in waits} == {calls[0].start_ns}
    assert all(root.resource["service.name"] == "single" for root in roots)
    assert all(root.resource["deployment"] == "test" for root in roots)


def ask(gateway: Gateway, sentence: str, headers: dict[str, str]) -> httpx.Response:
    url = f"http://127.0.0.1:{gateway.port}/classify"
    return httpx.get(url, params={"sentence": sentence}, headers=headers, timeout=30)


def test_a_sentence_that_is_tried_again_says_why(single: Gateway, collector: Collector) -> None:
    trace_id = fresh(30)
    url = f"http://127.0.0.1:{single.port}/classify"
    answer = httpx.post(url, json={"sentences": ["cat", "bad"]}, headers=traceparent(trace_id), timeout=30)
    assert answer.status_code == 502
    collector.wait_for(trace_id, 8)
    wait_until(lambda: "POST /classify" in [span.name for span in collector.trace(trace_id)], 5, "the root")
    spans = collector.trace(trace_id)
    root = named(spans, "POST /classify")
    assert (root.status, root.attributes["error.type"]) == (ERROR, "ModelFailedError")
    calls = [span for span in spans if span.name == "call Triton"]
    assert [call.attributes["classifier.batch.sentences"] for call in calls] == [2, 1, 1]
    assert "classifier.retry.reason" not in calls[0].attributes
    assert all("tried by itself" in call.attributes["classifier.retry.reason"] for call in calls[1:])
    assert sorted(call.status for call in calls) == [0, ERROR, ERROR]
    assert calls[0].attributes["error.type"] == "ModelFailedError"
    assert calls[0].attributes["http.response.status_code"] in (400, 500)


def test_exemplars_lead_to_recorded_traces_alone(stack: Stack) -> None:
    stack.client.get("/classify", params={"sentence": "cat"}, headers=traceparent(fresh(40)))
    stack.client.get("/classify", params={"sentence": "cat"}, headers=traceparent(fresh(41), "00"))
    answer = stack.client.get("/metrics", headers=OPENMETRICS)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    found = [
        sample.exemplar.labels
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.exemplar is not None and sample.name == "classifier_request_seconds_bucket"
    ]
    assert fresh(40) in [labels["trace_id"] for labels in found]
    assert fresh(41) not in [labels["trace_id"] for labels in found]
    assert all(re.fullmatch("[0-9a-f]{16}", labels["span_id"]) for labels in found)


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "application/openmetrics-text;q=0.1, text/plain"])
def test_others_get_the_classic_format(stack: Stack, accept: str) -> None:
    answer = stack.client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# {" not in answer.text
    assert "# EOF" not in answer.text


def test_a_triton_that_is_away_is_an_error_of_the_call_and_the_request(
    stack: Stack, single: Gateway, collector: Collector
) -> None:
    (pid,) = stack.processes("tritonserver")
    os.kill(pid, signal.SIGKILL)
    answer = ask(single, "cat", traceparent(fresh(50)))
    assert answer.status_code == 503
    wait_until(lambda: "GET /classify" in [span.name for span in collector.trace(fresh(50))], 5, "the root")
    spans = collector.trace(fresh(50))
    root, call = named(spans, "GET /classify"), named(spans, "call Triton")
    assert (root.status, root.attributes["error.type"]) == (ERROR, "NotReadyError")
    assert root.attributes["http.response.status_code"] == 503
    assert (call.status, call.attributes["error.type"]) == (ERROR, "NotReadyError")
    assert "does not answer" in call.message
    assert call.attributes["http.request.resend_count"] >= 1
    reasons = [attributes["classifier.retry.reason"] for name, attributes in call.events if name == "retry"]
    assert any("cannot be reached" in reason for reason in reasons)
