"""Calls by gRPC are traced as requests by HTTP are: the caller's trace goes on, through the same inner spans."""

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import message
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
from tests.integration.gateways import Gateway
from tests.integration.rpc import Caller, ClassifyRequest, Outcome, rpc_gateway
from tests.integration.stack import Stack
from tests.integration.traced import OF_TRITON, PARTS, SPANS, traced_stack, wait_until_queued
from tests.waiting import wait_until

ROOT = "text_classifier.v1.Classifier/Classify"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def stack(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    (port,) = free_ports(1)
    with traced_stack(collector, tmp_path_factory.mktemp("tracing"), GRPC_PORT=str(port)) as running:
        yield running


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Iterator[Caller]:
    yield (caller := Caller(int(stack.env["GRPC_PORT"])))
    caller.channel.close()


@pytest.fixture(scope="module")
def single(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Caller]]:
    """A gateway with one call at a time, so that requests share it."""
    with rpc_gateway(stack, tmp_path_factory.mktemp("single") / "log", TRITON_CALLS="1") as (gateway, port):
        yield gateway, (caller := Caller(port))
        caller.channel.close()


def ask(caller: Caller, *sentences: str, **metadata: str) -> Outcome:
    """Ask for labels with these metadata."""
    named_as_sent = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    return caller.send(ClassifyRequest(sentences=sentences), metadata=named_as_sent)


def root_of(collector: Collector, trace_id: str, name: str = ROOT) -> Any:
    """The call's own span, once it came; parts come before it."""
    wait_until(lambda: name in [span.name for span in collector.trace(trace_id)], 20, name)
    return named(collector.trace(trace_id), name)


def test_the_callers_trace_goes_on_through_the_gateway_and_triton(caller: Caller, collector: Collector) -> None:
    sent = {**traceparent(TRACE), "tracestate": "vendor=one,other=two", "baggage": "user=alice"}
    assert ask(caller, "xylophone cat", **sent).code == "OK"
    spans = collector.wait_for(TRACE, SPANS)
    root = named(spans, ROOT)
    assert (root.parent_id, root.kind, root.status) == (SPAN, SERVER, 0)
    assert [span.name for span in spans if span.parent_id == root.span_id] == PARTS
    call = named(spans, "call Triton")
    assert (call.kind, call.links) == (CLIENT, [])
    triton = [named(spans, name) for name in OF_TRITON]
    assert [span.parent_id for span in triton] == [call.span_id, triton[0].span_id, triton[1].span_id]
    assert {span.state for span in spans if span not in triton} == {"vendor=one,other=two"}
    for span in spans:
        assert root.start_ns <= span.start_ns <= span.end_ns
        assert "xylophone" not in repr(span)
        assert "alice" not in repr(span)


def test_its_span_says_what_the_conventions_ask(caller: Caller, collector: Collector) -> None:
    ask(caller, "cat oak", "oak", **traceparent(fresh(2)))
    root = named(collector.wait_for(fresh(2), SPANS), ROOT).attributes
    assert root.pop("user_agent.original").startswith("grpc-python/")
    assert isinstance(root.pop("client.port"), int)
    assert root == {
        "rpc.system.name": "grpc",
        "rpc.method": ROOT,
        "rpc.response.status_code": "OK",
        "client.address": "127.0.0.1",
        "classifier.model": "classifier",
        "classifier.version": 1,
        "classifier.sentences": 2,
        "classifier.tokens": 7,
    }


def test_what_the_caller_does_not_record_is_not_recorded(stack: Stack, caller: Caller, collector: Collector) -> None:
    sent = {**traceparent(fresh(5), "00"), "x_request_id": "not-sampled"}
    assert ask(caller, "cat", **sent).code == "OK"
    assert log_line(stack.log, "not-sampled")["trace_id"] == fresh(5)
    ask(caller, "cat", **traceparent(fresh(6)))
    collector.wait_for(fresh(6), SPANS)
    assert collector.trace(fresh(5)) == []


def test_the_log_line_and_an_exemplar_lead_to_the_trace(stack: Stack, caller: Caller, collector: Collector) -> None:
    outcome = ask(caller, "cat", **traceparent(fresh(7)))
    root = root_of(collector, fresh(7))
    line = log_line(stack.log, outcome.told["x-request-id"])
    assert (line["trace_id"], line["span_id"]) == (fresh(7), root.span_id)
    ask(caller, "cat", **traceparent(fresh(8), "00"))
    answer = stack.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    found = [
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.exemplar is not None and sample.labels.get("route") == f"/{ROOT}"
    ]
    assert fresh(7) in found
    assert fresh(8) not in found


@pytest.mark.parametrize(
    "value",
    ["hello", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01"],
    ids=["no form", "zeros", "upper case"],
)
def test_a_bad_traceparent_begins_a_new_trace(stack: Stack, caller: Caller, value: str) -> None:
    line = log_line(stack.log, ask(caller, "cat", traceparent=value).told["x-request-id"])
    assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
    assert line["trace_id"] not in (TRACE, "0" * 32)


def test_a_mistake_of_the_callers_is_no_error_of_the_servers(caller: Caller, collector: Collector) -> None:
    assert ask(caller, **traceparent(fresh(10))).code == "INVALID_ARGUMENT"
    root = root_of(collector, fresh(10))
    assert (root.status, root.attributes["rpc.response.status_code"]) == (0, "INVALID_ARGUMENT")
    assert "error.type" not in root.attributes


def test_the_open_inference_protocol_is_traced_and_health_is_not(caller: Caller, collector: Collector) -> None:
    metadata = (("traceparent", f"00-{fresh(11)}-{SPAN}-01"),)
    for question in ("ServerLive", "ServerReady"):
        assert caller.infer(question, message(f"inference.{question}Request")(), metadata=metadata).code == "OK"
    request = message("inference.ModelInferRequest")(model_name="classifier")
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(b"cat")
    assert caller.infer("ModelInfer", request, metadata=metadata).code == "OK"
    spans = collector.wait_for(fresh(11), SPANS)
    assert [span.name for span in spans if span.parent_id == SPAN] == ["inference.GRPCInferenceService/ModelInfer"]


def test_callers_of_both_doors_that_share_a_call_are_linked(
    stack: Stack, single: tuple[Gateway, Caller], collector: Collector
) -> None:
    gateway, caller = single
    url = f"http://127.0.0.1:{gateway.port}/classify"
    with ThreadPoolExecutor() as pool:
        with stack.hanging("tritonserver"):
            answers: list[Any] = []
            for place, number in enumerate((20, 21, 22)):
                sent = traceparent(fresh(number))
                if number == 21:
                    answers.append(pool.submit(httpx.get, url, params={"sentence": "cat"}, headers=sent, timeout=60))
                else:
                    answers.append(pool.submit(ask, caller, "cat", **sent))
                wait_until_queued(gateway, place)
        lone, by_http, by_grpc = (answer.result() for answer in answers)
    assert (lone.code, by_http.status_code, by_grpc.code) == ("OK", 200, "OK")
    collector.wait_for(fresh(20), SPANS)
    first, second = collector.wait_for(fresh(21), SPANS), collector.wait_for(fresh(22), 4)
    calls = [named(trace, "call Triton") for trace in (first, second)]
    roots = [named(first, "GET /classify"), named(second, ROOT)]
    assert [call.kind for call in calls] == [CLIENT, INTERNAL]
    assert sorted(calls[0].links) == sorted((root.trace_id, root.span_id) for root in roots)
    assert calls[1].links == [(calls[0].trace_id, calls[0].span_id)]


@pytest.mark.parametrize("given", [{}, {"OTEL_SDK_DISABLED": "true"}], ids=["unset", "disabled"])
def test_off_it_only_repeats_the_callers_ids_in_the_log(
    stack: Stack, tmp_path: Path, collector: Collector, given: dict[str, str]
) -> None:
    log = tmp_path / "log"
    endpoint = {} if given else {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    with rpc_gateway(stack, log, **endpoint, **given) as (_, port):
        caller = Caller(port)
        sent = [traceparent(fresh(30)), {}, {"traceparent": "x"}]
        outcomes = [ask(caller, "cat", **metadata) for metadata in sent]
        lines = [log_line(log, outcome.told["x-request-id"]) for outcome in outcomes]
        caller.channel.close()
    ids = [(line.get("trace_id"), line.get("span_id")) for line in lines]
    assert ids == [(fresh(30), SPAN), (None, None), (None, None)]
    assert collector.trace(fresh(30)) == []


def test_a_triton_that_is_away_is_an_error_of_the_call_and_of_its_callers(
    stack: Stack, single: tuple[Gateway, Caller], collector: Collector
) -> None:
    (pid,) = stack.processes("tritonserver")
    os.kill(pid, signal.SIGKILL)
    assert ask(single[1], "cat", **traceparent(fresh(50))).code == "UNAVAILABLE"
    root = root_of(collector, fresh(50))
    assert (root.status, root.attributes["error.type"]) == (ERROR, "NotReadyError")
    assert root.attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert named(collector.trace(fresh(50)), "call Triton").status == ERROR
