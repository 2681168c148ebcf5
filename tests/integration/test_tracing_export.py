"""Spans never hold up an answer or the end, whatever becomes of them; nor does tracing that is off, or cannot be.

Each gateway here stands before the same Triton.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.measure.ports import free_ports
from tests.integration.collector import SPAN, TRACE, Collector, running_collector
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import ROOT, Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

NATURE = {"cat": "Animal", "oak": "Plant"}
SPANS = 4
"""Of one request."""
EXPORTED = "gateway_spans_exported_total"
FAILED = 'gateway_spans_dropped_total{reason="export_failed"}'
FULL = 'gateway_spans_dropped_total{reason="queue_full"}'
NO_PACKAGE = "raise ModuleNotFoundError('No module named opentelemetry.sdk', name='opentelemetry.sdk')\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("export")
    publish(folder / "repository", "classifier", write_version(folder / "version", NATURE))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


def sending_to(url: str, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def ask(gateway: Gateway, times: int = 1, **headers: str) -> None:
    for _ in range(times):
        answer = gateway.client.get("/classify", params={"sentence": "cat"}, headers=headers)
        assert answer.status_code == 200
        assert answer.json()[0]["label"] == "Animal"


def log_lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "gateway.tracing" in line]


def test_what_waits_is_sent_at_the_end(stack: Stack, tmp_path: Path, collector: Collector) -> None:
    settings = sending_to(collector.url, OTEL_BSP_SCHEDULE_DELAY="600000", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway:
        ask(gateway, 3)
        assert collector.spans == []
        gateway.end()
    assert len(collector.spans) == 3 * SPANS
    assert len({span.trace_id for span in collector.spans}) == 3


def test_a_collector_that_is_away_costs_spans_alone(stack: Stack, tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    secret = "Bearer s3cr3t-value"
    settings = sending_to(
        f"http://127.0.0.1:{closed}",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={secret}",
    )
    log = tmp_path / "log"
    with gateway_beside(stack, log, **settings) as gateway:
        for _ in range(4):
            ask(gateway, 5)
            time.sleep(0.3)
        wait_until(lambda: gateway.metric(FAILED) == 20 * SPANS, 20, "every span is counted")
        assert gateway.metric(EXPORTED) == 0
        gateway.end()
    lines = log_lines(log)
    assert [line for line in lines if "Failed to export" in line]
    assert len(lines) < 8  # and not some for each batch
    assert "s3cr3t" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_collector_that_refuses_and_then_takes(stack: Stack, tmp_path: Path, collector: Collector) -> None:
    collector.status = 400
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cr3t-value"}
    with gateway_beside(stack, tmp_path / "log", **sending_to(collector.url, **headers)) as gateway:
        ask(gateway)
        wait_until(lambda: gateway.metric(FAILED) == SPANS, 20, "they are counted")
        collector.status = 200
        ask(gateway)
        wait_until(lambda: gateway.metric(EXPORTED) == SPANS, 20, "they are taken")
    assert len(collector.spans) == SPANS
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer s3cr3t-value"}


def test_a_collector_that_hangs_fills_a_bounded_queue(stack: Stack, tmp_path: Path, collector: Collector) -> None:
    collector.released.clear()
    settings = sending_to(collector.url, OTEL_BSP_MAX_QUEUE_SIZE="16", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8")
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway:
        ask(gateway, 30)
        wait_until(lambda: gateway.metric(FULL) > 0, 5, "spans find no room")
        ask(gateway, 10)
        # All but those that wait, and those that are being sent.
        assert gateway.metric(FULL) + gateway.metric(FAILED) >= 40 * SPANS - 16 - 8
        gateway.end()


def test_each_worker_is_an_instance(stack: Stack, tmp_path: Path, collector: Collector) -> None:
    with gateway_beside(stack, tmp_path / "log", **sending_to(collector.url, WORKERS="2")) as gateway:

        def both_answered() -> bool:
            httpx.get(f"http://127.0.0.1:{gateway.port}/classify", params={"sentence": "cat"}, timeout=30)
            return len({span.resource["service.instance.id"] for span in collector.spans}) == 2

        wait_until(both_answered, 20, "spans of both workers")
        classic = httpx.get(f"http://127.0.0.1:{gateway.port}/metrics", timeout=30).text
        assert EXPORTED in classic
        accept = {"Accept": "application/openmetrics-text"}
        text = httpx.get(f"http://127.0.0.1:{gateway.port}/metrics", headers=accept, timeout=30).text
        assert text.endswith("# EOF\n")
    pids = {span.resource["process.pid"] for span in collector.spans}
    assert len(pids) == 2
    assert gateway.process.pid not in pids


def test_only_a_share_is_recorded_and_keys_are_not(stack: Stack, tmp_path: Path, collector: Collector) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    log = tmp_path / "log"
    settings = {**sending_to(collector.url), **sampler, "API_KEYS": "k3y-of-somebody"}
    with gateway_beside(stack, log, **settings) as gateway:
        key = {"Authorization": "Bearer k3y-of-somebody"}
        ask(gateway, 5, **key)
        ask(gateway, 1, **key, traceparent=f"00-{TRACE}-{SPAN}-01")
        refused = gateway.client.get("/classify", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        assert refused.status_code == 401
        wait_until(lambda: len(collector.spans) > SPANS, 20, "the recorded ones")
        gateway.end()
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert len(collector.spans) == SPANS + 1
    assert 401 in [span.attributes.get("http.response.status_code") for span in collector.spans]
    assert "k3y" not in repr(collector.spans)
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"/classify"' in line]
    assert len({line["trace_id"] for line in lines}) == 6


@pytest.mark.parametrize(
    "off",
    [
        {},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR"},
    ],
    ids=["unset", "disabled", "none"],
)
def test_off_it_only_repeats_the_callers_ids_in_the_log(
    stack: Stack, tmp_path: Path, collector: Collector, off: dict[str, str]
) -> None:
    log = tmp_path / "log"
    with gateway_beside(
        stack, log, **{name: value.replace("COLLECTOR", collector.url) for name, value in off.items()}
    ) as gateway:
        ask(gateway, 1, traceparent=f"00-{TRACE}-{SPAN}-01")
        ask(gateway, 1, traceparent="nonsense")
        ask(gateway)
        gateway.end()
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"/classify"' in line]
    assert [(line.get("trace_id"), line.get("span_id")) for line in lines] == [
        (TRACE, SPAN),
        (None, None),
        (None, None),
    ]
    assert collector.requests == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "nowhere"}, "exporter nowhere"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "'http/xml': say http/protobuf or grpc"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "4"}, "max_export_batch_size"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "'many', which is no number"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_sentences_are_answered(
    stack: Stack, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    log = tmp_path / "log"
    with gateway_beside(stack, log, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **settings) as gateway:
        ask(gateway)
    (line,) = log_lines(log)
    assert "Requests are not traced" in line
    assert said in line


def test_a_package_that_is_missing_is_named_and_sentences_are_answered(stack: Stack, tmp_path: Path) -> None:
    package = tmp_path / "without" / "opentelemetry" / "sdk"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(NO_PACKAGE)
    log = tmp_path / "log"
    settings = {"OTEL_TRACES_EXPORTER": "otlp", "PYTHONPATH": f"{package.parent.parent}:{ROOT}"}
    with gateway_beside(stack, log, **settings) as gateway:
        ask(gateway)
    (line,) = log_lines(log)
    assert re.search(r"the package opentelemetry\.sdk is not installed: pip install '\.\[tracing\]' brings it", line)


def test_the_console_gets_one_line_a_span(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gateway_beside(stack, log, OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="50") as gateway:
        ask(gateway, 1, traceparent=f"00-{TRACE}-{SPAN}-01")
        gateway.end()
    spans = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and '"kind"' in line]
    assert len(spans) == SPANS
    assert {span["context"]["trace_id"] for span in spans} == {f"0x{TRACE}"}


@pytest.mark.parametrize(("endpoint", "imported"), [("", False), ("http://127.0.0.1:9", True)])
def test_nothing_of_its_sdk_is_imported_while_it_is_off(endpoint: str, imported: bool) -> None:
    code = (
        "import sys; from gateway.app import create_app; from gateway.settings import GatewaySettings\n"
        "create_app(GatewaySettings())\n"
        "print(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))\n"
    )
    env = {"PATH": "/usr/bin:/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(imported)]
