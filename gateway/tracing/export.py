"""How do spans leave the process without keeping an answer waiting? Through a bounded queue, on a thread of its own.

What finds the queue full, or is not taken, is dropped and counted.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

FLUSH_S = 3.0
"""How long the end of a process waits for spans that are not sent yet."""


class SpanCounts(Protocol):
    """What is told of spans, such as the metrics."""

    def spans_exported(self, spans: int) -> None:
        """So many were taken."""

    def spans_dropped(self, spans: int, reason: str) -> None:
        """So many were not; the reason is `queue_full` or `export_failed`."""


class CountingExporter(SpanExporter):
    """Another exporter, whose successes and failures are counted."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts) -> None:
        self._exporter = exporter
        self._counts = counts
        self.taken = 0
        """Spans that left the queue."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. Raises what the exporter raises; the processor logs it."""
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self._counts.spans_exported(len(spans))
            else:
                self._counts.spans_dropped(len(spans), "export_failed")
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what the exporter keeps."""
        return self._exporter.force_flush(timeout_millis)


class CountingProcessor(SpanProcessor):
    """The SDK's batch processor; a span that finds its queue full is dropped here, where it can be counted."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts, most: int) -> None:
        """`most`: spans that may wait. Raises ValueError: the SDK's variables contradict each other."""
        self._exporter = CountingExporter(exporter, counts)
        self._batches = BatchSpanProcessor(self._exporter, max_queue_size=most)
        self._counts = counts
        self._most = most
        self._put = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is done with a span before its end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span; on the event loop's thread alone, as the count relies on."""
        if self._put - self._exporter.taken >= self._most:
            self._counts.spans_dropped(1, "queue_full")
            return
        self._put += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what waits."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._batches.force_flush(timeout_millis)


class Export:
    """The way out of a process's spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def close(self) -> None:
        """Send what waits, as far as that is done within a few seconds; nothing is sent after it."""
        last = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(FLUSH_S)
