"""Who asks for OpenMetrics gets it, with one end and each metric once; all others get what they always got."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from gateway.openmetrics import openmetrics_text, prefers_openmetrics

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""As Prometheus 3 sends it."""


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS,
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; Version=1.0.0",
        "text/html, application/openmetrics-text;q=0.1",
        "text/plain;q=0.5, application/openmetrics-text;q=0.5",
    ],
)
def test_who_prefers_it_gets_it(accept: str) -> None:
    assert prefers_openmetrics(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        "text/plain",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=nonsense",
        "application/openmetrics-text;q=0.2, text/plain",
        "application/openmetrics-texts",
        "," * 10_000 + "application/openmetrics-text",
    ],
)
def test_all_others_do_not(accept: str) -> None:
    assert not prefers_openmetrics(accept)


def test_two_registries_are_one_text() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    Counter("asked", "How often.", registry=first).inc(3)
    histogram = Histogram("took_seconds", "How long.", registry=second, buckets=(1.0,))
    histogram.observe(0.5, {"trace_id": "a" * 32, "span_id": "b" * 16})
    text = openmetrics_text(first, second).decode()
    assert text.count("# EOF") == 1
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["asked"].samples[0].value == 3
    (exemplar,) = [sample.exemplar for sample in families["took_seconds"].samples if sample.exemplar]
    assert exemplar.labels == {"trace_id": "a" * 32, "span_id": "b" * 16}


def test_all_metrics_of_a_gateway_are_valid_in_it() -> None:
    metrics = Metrics()
    metrics.of("classifier").sentences.inc()
    metrics.spans_dropped(2, "queue_full")
    text = metrics.render([], openmetrics=True).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (dropped,) = [s for s in families["gateway_spans_dropped"].samples if s.name.endswith("_total")]
    assert (dropped.labels, dropped.value) == ({"reason": "queue_full"}, 2)
