"""Prometheus metrics of the gateway: what it counts while it works, and what it reads off its parts when scraped."""

import os
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from gateway.batcher import Batcher
from gateway.students import Students, StudentState
from gateway.versions import VersionFollower
from repository.log_queue import count_dropped
from repository.names import visible

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: the folder through which several workers share their counts."""

_OF_STUDENT = {
    "classifier_student_ready": "1 while the current version's student is asked; no value where it has none.",
    "classifier_cascade_delta": "Most of all sentences that the student may answer otherwise, as a share.",
    "classifier_cascade_bar": "Confidence from which on the student answers; 1 if it answers nothing any more.",
    "classifier_cascade_raised": "Times that the audit has raised the bar of the current version.",
}

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
        self._count_students(registry)
        self._count_candidates(registry)
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

    def _count_students(self, registry: CollectorRegistry) -> None:
        """Of versions with a student alone."""
        self.answered = Counter(
            "classifier_answered_sentences",
            "Sentences asked of a version with a student, by who answered: student or model.",
            ("by",),
            registry=registry,
        )
        self._audited = Counter(
            "classifier_cascade_audited_sentences",
            "Sampled sentences, whoever answered; those of the student were asked of the model, too.",
            registry=registry,
        )
        self._disagreed = Counter(
            "classifier_cascade_disagreed_sentences",
            "Sampled sentences that the student answered otherwise than the model.",
            registry=registry,
        )
        self._not_audited = Counter(
            "classifier_cascade_skipped_sentences",
            "Sampled sentences that were not looked at: too many waited, the bar rose, or the model did not answer.",
            registry=registry,
        )

    def _count_candidates(self, registry: CollectorRegistry) -> None:
        """While a version is on trial alone."""
        self.mirrored = Counter(
            "classifier_mirrored_sentences",
            "Sentences sampled for the candidate, by outcome: compared, failed, or dropped since there was no time.",
            ("outcome",),
            registry=registry,
        )
        self.canary = Counter(
            "classifier_canary_sentences",
            "Sentences that were the candidate's to answer, by who did: candidate, or current where that did not.",
            ("by",),
            registry=registry,
        )

    def called(self, sentences: int, tokens: int, padded_tokens: int, waited_s: Sequence[float], took_s: float) -> None:
        """Count one call to Triton."""
        self._batch.observe(sentences)
        self._tokens.inc(tokens)
        self._padding.inc(padded_tokens - tokens)
        self._call.observe(took_s)
        for seconds in waited_s:
            self._queue.observe(seconds)

    def audited(self, disagrees: bool) -> None:
        """Count one sampled sentence."""
        self._audited.inc()
        self._disagreed.inc(disagrees)

    def not_audited(self) -> None:
        """Count one that could not be looked at."""
        self._not_audited.inc()

    def count_dropped_lines(self) -> None:
        """Count the log lines that were dropped since this was last called."""
        count_dropped(self._log_dropped.inc)

    def render(
        self,
        versions: VersionFollower,
        batcher: Batcher,
        students: Students | None = None,
        candidates: Callable[[], Iterator[Metric]] = lambda: iter(()),
    ) -> bytes:
        """The text that Prometheus reads: counts of all workers, state as this worker sees it."""
        self.count_dropped_lines()
        state = CollectorRegistry()
        state.register(_State(versions, batcher, students, candidates))
        counted = self._registry
        if os.environ.get(MULTIPROCESS_FOLDER):
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(state)


class _State(Collector):
    def __init__(
        self,
        versions: VersionFollower,
        batcher: Batcher,
        students: Students | None,
        candidates: Callable[[], Iterator[Metric]],
    ) -> None:
        self._versions = versions
        self._candidates = candidates
        self._students = students
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
        yield from _cascade(self._students.state() if self._students is not None else None)
        yield from self._candidates()


def _cascade(student: StudentState | None) -> Iterator[Metric]:
    """The state of the current version's student; no value where it has none."""
    watch = None if student is None else student.watch
    values: dict[str, float] = {}
    if student is not None:
        values["classifier_student_ready"] = student.state == "answers"
    if watch is not None:
        values |= {
            "classifier_cascade_delta": watch.delta,
            "classifier_cascade_bar": 1.0 if watch.bar is None else watch.bar,
            "classifier_cascade_raised": watch.raised,
        }
    for name, meaning in _OF_STUDENT.items():
        yield GaugeMetricFamily(name, meaning, value=values.get(name))
    observed = GaugeMetricFamily(
        "classifier_cascade_disagreement",
        "Share of sampled sentences that the student answered otherwise, since the bar was set, and its 95 % bounds.",
        labels=["bound"],
    )
    for bound, value in zip(("observed", "lower", "upper"), watch.observed(), strict=True) if watch else ():
        observed.add_metric([bound], value)
    yield observed


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
