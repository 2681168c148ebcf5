"""What does not get out is dropped and counted; nobody waits for it."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from gateway.tracing.export import CountingProcessor, Export
from tests.waiting import wait_until

QUEUE = 600


class Counts:
    def __init__(self) -> None:
        self.exported = 0
        self.dropped: Counter[str] = Counter()

    def spans_exported(self, spans: int) -> None:
        self.exported += spans

    def spans_dropped(self, spans: int, reason: str) -> None:
        self.dropped[reason] += spans


class Exporter(SpanExporter):
    """Does what it is told with each batch, once it is released."""

    def __init__(self, export: Callable[[], SpanExportResult]) -> None:
        self.released = threading.Event()
        self.begun = threading.Event()
        self._export = export

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        self.begun.set()
        self.released.wait()
        return self._export()


def take() -> SpanExportResult:
    return SpanExportResult.SUCCESS


def refuse() -> SpanExportResult:
    return SpanExportResult.FAILURE


def fail() -> SpanExportResult:
    raise RuntimeError("nobody foresaw it")


def make_spans(provider: TracerProvider, count: int) -> None:
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("span").end()


@pytest.mark.parametrize("export", [take, refuse, fail])
def test_each_span_is_counted_once_whatever_becomes_of_it(export: Callable[[], SpanExportResult]) -> None:
    counts, exporter = Counts(), Exporter(export)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountingProcessor(exporter, counts, QUEUE))
    make_spans(provider, 512)  # a whole batch, which is sent at once
    assert exporter.begun.wait(20)
    make_spans(provider, QUEUE + 100)
    assert counts.dropped == {"queue_full": 100}
    exporter.released.set()
    Export(provider).close()
    sent = 512 + QUEUE
    wait_until(lambda: counts.exported + counts.dropped["export_failed"] == sent, 10, f"{vars(counts)}")
    assert counts.exported == (sent if export is take else 0)
    assert counts.dropped["queue_full"] == 100


def test_the_end_does_not_wait_for_an_exporter_that_hangs() -> None:
    counts, exporter = Counts(), Exporter(take)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountingProcessor(exporter, counts, QUEUE))
    make_spans(provider, 3)
    Export(provider).close()
    assert exporter.begun.is_set()  # it was tried
    assert counts.exported == 0
    exporter.released.set()


def test_spans_that_are_not_recorded_take_no_room() -> None:
    counts, exporter = Counts(), Exporter(take)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(CountingProcessor(exporter, counts, QUEUE))
    make_spans(provider, 3 * QUEUE)
    assert counts.dropped == {}
    exporter.released.set()
    Export(provider).close()
    assert counts.exported == 0
