"""Prometheus metrics of the gateway: what it counts while it works, and what it reads off its parts when scraped."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from gateway.batcher import Batcher
from gateway.feedback.counters import FORGOTTEN as FEEDBACK_FORGOTTEN
from gateway.feedback.counters import TAKEN as FEEDBACK_TAKEN
from gateway.feedback.counters import FeedbackCounters
from gateway.openmetrics import openmetrics_text
from gateway.students import Students, StudentState
from gateway.versions import VersionFollower
from gateway.watching.counters import WatchCounters
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
_SET_LABELS = (1, 2, 3, 5, 10, 20, 50)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Kind = TypeVar("Kind", Counter, Histogram)


class Metrics:
    """The metrics of one gateway process: its requests, and through `of` what is counted for each model."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._families: dict[str, Counter | Histogram] = {}
        self._requests = Counter(
            "classifier_requests",
            "Requests answered; status 499 is a caller who hung up, a name one of gRPC's codes. No model: it did not "
            "get so far, or asked none.",
            ("model", "route", "status"),
            registry=registry,
        )
        self._latency = Histogram(
            "classifier_request_seconds",
            "From request to answer.",
            ("model", "route"),
            buckets=_LATENCY_S,
            registry=registry,
        )
        self._of_requests: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self.rejected = Counter(
            "classifier_rejected_requests", "Requests refused, by kind of error.", ("error",), registry=registry
        )
        self._log_dropped = Counter(
            "gateway_log_lines_dropped", "Log lines that could not be written.", registry=registry
        )

        self._spans = Counter("gateway_spans_exported", "Spans of traces that a collector took.", registry=registry)
        self._spans_dropped = Counter(
            "gateway_spans_dropped",
            "Spans of traces that were lost: the queue was full, or the export failed.",
            ("reason",),
            registry=registry,
        )

    def request(
        self, model: str, route: str, status: str, seconds: float, exemplar: dict[str, str] | None = None
    ) -> None:
        """Count one request that is over, and how long it took."""
        # Kept, since `labels` takes its lock and makes strings of all values each time.
        if (found := self._of_requests.get((model, route, status))) is None:
            found = (self._requests.labels(model, route, status), self._latency.labels(model, route))
            self._of_requests[model, route, status] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds, exemplar)

    def of(self, model_name: str) -> "ModelMetrics":
        """What is counted for one model."""
        return ModelMetrics(self, model_name)

    def family(self, kind: type[Kind], name: str, meaning: str, labels: Sequence[str], **options: Any) -> Kind:
        """A metric with a series for each model, made when the first model asks for it."""
        if name not in self._families:
            self._families[name] = kind(name, meaning, ("model", *labels), registry=self._registry, **options)
        found = self._families[name]
        assert isinstance(found, kind)
        return found

    def spans_exported(self, spans: int) -> None:
        """Count spans that were taken."""
        self._spans.inc(spans)

    def spans_dropped(self, spans: int, reason: str) -> None:
        """Count spans that were not, for a reason: `queue_full` or `export_failed`."""
        self._spans_dropped.labels(reason).inc(spans)

    def count_dropped_lines(self) -> None:
        """Count the log lines that were dropped since this was last called."""
        count_dropped(self._log_dropped.inc)

    def render(self, models: Sequence["ModelState"], openmetrics: bool = False) -> bytes:
        """The text that Prometheus reads: counts of all workers, state as this worker sees it.

        `openmetrics` takes OpenMetrics' format, which has exemplars, in place of Prometheus's own.
        """
        self.count_dropped_lines()
        state = CollectorRegistry()
        state.register(_State(models))
        counted = self._registry
        if os.environ.get(MULTIPROCESS_FOLDER):
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        if openmetrics:
            return openmetrics_text(counted, state)
        return generate_latest(counted) + generate_latest(state)


class ModelMetrics:
    """What is counted for one model; every series is labelled with its name."""

    def __init__(self, process: Metrics, model_name: str) -> None:
        self._process = process
        self._model = model_name
        self.sentences = self._counter("classifier_sentences", "Sentences answered.")
        self.truncated = self._counter("classifier_truncated_sentences", "Sentences cut at the model's limit.")
        self._windowed = self._counter(
            "classifier_windowed_sentences", "Sentences longer than the model's limit, read in windows."
        )
        self._windows = self._counter("classifier_windows", "Windows that such sentences were read in.")
        self._queue = self._histogram("classifier_queue_seconds", "How long a sentence waited for its call.")
        self._call = self._histogram("classifier_triton_call_seconds", "Duration of a call.")
        self._batch = self._histogram("classifier_batch_sentences", "Sentences in a call.", _SENTENCES)
        self._tokens = self._counter("classifier_tokens", "Tokens sent to Triton, without padding.")
        self._padding = self._counter("classifier_padding_tokens", "Tokens sent to Triton only to fill up rows.")
        self.unknown = self._counter(
            "classifier_unknown_sentences",
            "Sentences of which no label was sure enough for MIN_SCORE, min_score or UNKNOWN_LABEL.",
        )
        self.set_labels = self._histogram(
            "classifier_set_labels", "Labels in the answer to a sentence asked with coverage.", _SET_LABELS
        )
        self.watched = WatchCounters(partial(process.family, Counter), model_name)
        """What is counted where `WATCH` is on."""
        self.feedback = FeedbackCounters(self._counter_by("right", *FEEDBACK_TAKEN), self._counter(*FEEDBACK_FORGOTTEN))
        self.mirrored = self._counter_by(
            "outcome",
            "classifier_mirrored_sentences",
            "Sentences sampled for the candidate, by outcome: compared, failed, or dropped since there was no time.",
        )
        self.canary = self._counter_by(
            "by",
            "classifier_canary_sentences",
            "Sentences that were the candidate's to answer, by who did: candidate, or current where that did not.",
        )
        self.receipts = self._counter("classifier_receipts", "Receipts signed.")
        self.job_rows = self._counter_by(
            "outcome", "classifier_job_rows", "Rows of jobs that are done with, by outcome: answered or failed."
        )
        self.jobs_ended = self._counter_by(
            "outcome",
            "classifier_jobs_ended",
            "Jobs that were run to an end: done, cancelled, unreadable by the caller's mistake, or failed.",
        )
        self._count_students()

    def _count_students(self) -> None:
        """Of versions with a student alone."""
        meaning = "Sentences asked of a version with a student, by who answered: student or model."
        self.answered = self._counter_by("by", "classifier_answered_sentences", meaning)
        self._audited = self._counter(
            "classifier_cascade_audited_sentences",
            "Sampled sentences, whoever answered; those of the student were asked of the model, too.",
        )
        self._disagreed = self._counter(
            "classifier_cascade_disagreed_sentences",
            "Sampled sentences that the student answered otherwise than the model.",
        )
        self._not_audited = self._counter(
            "classifier_cascade_skipped_sentences",
            "Sampled sentences that were not looked at: too many waited, the bar rose, or the model did not answer.",
        )

    def _counter(self, name: str, meaning: str) -> Counter:
        return self._process.family(Counter, name, meaning, ()).labels(self._model)

    def _counter_by(self, label: str, name: str, meaning: str) -> Callable[[str], Counter]:
        """A counter for each value of a label."""
        family = self._process.family(Counter, name, meaning, (label,))
        return lambda value: family.labels(self._model, value)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float] = _LATENCY_S) -> Histogram:
        return self._process.family(Histogram, name, meaning, (), buckets=buckets).labels(self._model)

    def called(self, sentences: int, tokens: int, padded_tokens: int, waited_s: Sequence[float], took_s: float) -> None:
        """Count one call to Triton."""
        self._batch.observe(sentences)
        self._tokens.inc(tokens)
        self._padding.inc(padded_tokens - tokens)
        self._call.observe(took_s)
        for seconds in waited_s:
            self._queue.observe(seconds)

    def count_windows(self, windows: Sequence[int]) -> None:
        """Count the long sentences of a request, from how many windows each of its sentences was read in."""
        long = [count for count in windows if count > 1]
        self._windowed.inc(len(long))
        self._windows.inc(sum(long))

    def audited(self, disagrees: bool) -> None:
        """Count one sampled sentence."""
        self._audited.inc()
        self._disagreed.inc(disagrees)

    def not_audited(self) -> None:
        """Count one that could not be looked at."""
        self._not_audited.inc()


class ModelState(NamedTuple):
    """The parts of one model whose state is shown."""

    name: str
    versions: VersionFollower
    batcher: Batcher
    students: Students | None = None
    others: Sequence[Callable[[], Iterable[Metric]]] = ()
    """Who has more to tell, of features that are on; without the model's name, which is added."""


class _State(Collector):
    def __init__(self, models: Sequence[ModelState]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Read the state off the gateway's parts."""
        ready = _gauge("classifier_ready", "1 while a sentence can be answered.")
        current = _gauge("classifier_current_version", "Version that answers, 0 for none.")
        waiting = _gauge("classifier_waiting_sentences", "Sentences that wait for a call.")
        calls = _gauge("classifier_calls_in_flight", "Calls to Triton that are not answered yet.")
        failed = _gauge("classifier_failed_version", "1 for a version not used, with the reason.", "version", "reason")
        for name, versions, batcher, *_ in self._models:
            ready.add_metric([name], 0 if versions.problem else 1)
            current.add_metric([name], versions.current.number if versions.current else 0)
            waiting.add_metric([name], batcher.waiting)
            calls.add_metric([name], batcher.calls_under_way)
            for number, reason in versions.failures().items():
                failed.add_metric([name, str(number), visible(reason)], 1)
        yield from (ready, current, waiting, calls, failed)
        yield from _cascades({each.name: each.students.state() for each in self._models if each.students is not None})
        yield from _by_model((each.name, other) for each in self._models for other in each.others)


def _by_model(tellers: Iterable[tuple[str, Callable[[], Iterable[Metric]]]]) -> Iterator[Metric]:
    """What each tells of its model, in one family for all models, as Prometheus's format has it."""
    found: dict[str, Metric] = {}
    for model, tell in tellers:
        for family in tell():
            whole = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            whole.samples += [sample._replace(labels={"model": model, **sample.labels}) for sample in family.samples]
    yield from found.values()


def _cascades(students: dict[str, StudentState | None]) -> Iterator[Metric]:
    """The state of the current versions' students; no value where they have none."""
    gauges = {name: _gauge(name, meaning) for name, meaning in _OF_STUDENT.items()}
    observed = _gauge(
        "classifier_cascade_disagreement",
        "Share of sampled sentences that the student answered otherwise, since the bar was set, and its 95 % bounds.",
        "bound",
    )
    for model, student in students.items():
        if student is None:
            continue
        gauges["classifier_student_ready"].add_metric([model], student.state == "answers")
        watch = student.watch
        if watch is None:
            continue
        gauges["classifier_cascade_delta"].add_metric([model], watch.delta)
        gauges["classifier_cascade_bar"].add_metric([model], 1.0 if watch.bar is None else watch.bar)
        gauges["classifier_cascade_raised"].add_metric([model], watch.raised)
        for bound, value in zip(("observed", "lower", "upper"), watch.observed(), strict=True):
            observed.add_metric([model, bound], value)
    yield from (*gauges.values(), observed)


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=("model", *labels))
