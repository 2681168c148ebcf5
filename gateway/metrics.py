"""Prometheus metrics of the gateway: what it counts while it works, and what it reads off its parts when scraped."""

import os
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from gateway.batcher import Batcher
from gateway.versions import VersionFollower
from repository.log_queue import count_dropped
from repository.names import visible

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: the folder through which several workers share their counts."""

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "classifier_requests",
            "Requests answered; status 499 is a caller who hung up.",
            ("route", "status"),
            registry=registry,
        )
        self.latency = Histogram(
            "classifier_request_seconds", "From request to answer.", ("route",), buckets=_LATENCY_S, registry=registry
        )
        self.sentences = Counter("classifier_sentences", "Sentences answered.", registry=registry)
        self.truncated = Counter(
            "classifier_truncated_sentences", "Sentences cut at the model's limit.", registry=registry
        )
        self.rejected = Counter(
            "classifier_rejected_requests", "Requests refused, by kind of error.", ("error",), registry=registry
        )
        self._log_dropped = Counter(
            "gateway_log_lines_dropped", "Log lines that could not be written.", registry=registry
        )
        self._queue = Histogram(
            "classifier_queue_seconds",
            "How long a sentence waited for its call.",
            buckets=_LATENCY_S,
            registry=registry,
        )
        self._call = Histogram(
            "classifier_triton_call_seconds", "Duration of a call.", buckets=_LATENCY_S, registry=registry
        )
        self._batch = Histogram(
            "classifier_batch_sentences", "Sentences in a call.", buckets=_SENTENCES, registry=registry
        )
        self._tokens = Counter("classifier_tokens", "Tokens sent to Triton, without padding.", registry=registry)
        self._padding = Counter(
            "classifier_padding_tokens", "Tokens sent to Triton only to fill up rows.", registry=registry
        )

    def called(self, sentences: int, tokens: int, padded_tokens: int, waited_s: Sequence[float], took_s: float) -> None:
        """Count one call to Triton."""
        self._batch.observe(sentences)
        self._tokens.inc(tokens)
        self._padding.inc(padded_tokens - tokens)
        self._call.observe(took_s)
        for seconds in waited_s:
            self._queue.observe(seconds)

    def count_dropped_lines(self) -> None:
        """Count the log lines that were dropped since this was last called."""
        count_dropped(self._log_dropped.inc)

    def render(self, versions: VersionFollower, batcher: Batcher) -> bytes:
        """The text that Prometheus reads: counts of all workers, state as this worker sees it."""
        self.count_dropped_lines()
        state = CollectorRegistry()
        state.register(_State(versions, batcher))
        counted = self._registry
        if os.environ.get(MULTIPROCESS_FOLDER):
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(state)


class _State(Collector):
    def __init__(self, versions: VersionFollower, batcher: Batcher) -> None:
        self._versions = versions
        self._batcher = batcher

    def collect(self) -> Iterator[Metric]:
        """Read the state off the gateway's parts."""
        current = self._versions.current
        yield _gauge("classifier_ready", "1 while a sentence can be answered.", 0 if self._versions.problem else 1)
        yield _gauge(
            "classifier_current_version", "Version that answers, 0 for none.", current.number if current else 0
        )
        yield _gauge("classifier_waiting_sentences", "Sentences that wait for a call.", self._batcher.waiting)
        failed = GaugeMetricFamily(
            "classifier_failed_version",
            "1 for each version that is not used, with the reason.",
            labels=["version", "reason"],
        )
        for number, reason in self._versions.failures().items():
            failed.add_metric([str(number), visible(reason)], 1)
        yield failed


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
