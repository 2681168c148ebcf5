"""What do the spans of a call to Triton say? Who waited for it, who shared it, how large it was, and how it ended.

A call answers sentences of several requests, each with a trace of its own. So each trace gets a span of the call; the
one in the trace of the request that waited longest is the call's own, which Triton's spans are below. It is linked to
all requests that shared it, and theirs to it.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TraceFlags, Tracer

from gateway.errors import GatewayError
from gateway.tracing.request import MOST_CALLS, REQUEST, OpenTelemetryRequest
from gateway.tracing.traceparent import TRACEPARENT, TRACESTATE
from gateway.waiting import Waiting, tokens_of
from repository.inference import Float32Array, Int64Array

WAIT, CALL = "wait for a call", "call Triton"
ALONE = "The call that it shared failed: each of its sentences is tried by itself."
PATH = "/v2/models/{model}/versions/{version}/infer"

Shares = dict[OpenTelemetryRequest, list[Waiting]]
"""The requests of a batch that are recorded, with their sentences in it."""


class OpenTelemetryCalls:
    """Follows the calls of one model's batcher."""

    def __init__(self, tracer: Tracer, models: tuple[str, str], server: tuple[str, int]) -> None:
        """Take what names the calls.

        Args:
            tracer: makes spans.
            models: names of the model and of its student in Triton.
            server: Triton's host and port.
        """
        self._tracer = tracer
        self._models = models
        self._server = server

    def request(self) -> OpenTelemetryRequest | None:
        """The request that is being answered here; None if it is not recorded."""
        return REQUEST.get()

    async def call(
        self, batch: Sequence[Waiting], inputs: dict[str, Int64Array], infer: Callable[..., Awaitable[Float32Array]]
    ) -> Float32Array:
        """What `infer(version, inputs)` returns, or raise what it raises; its spans are recorded."""
        version = batch[0].version
        shares = _shares(batch)
        if not shares:
            return await infer(version, inputs)
        call = OpenTelemetryCall(self._tracer, shares, self._attributes(batch, inputs))
        try:
            logits = await infer(version, inputs, call)
        except BaseException as error:
            call.end(error)
            raise
        call.end(None)
        return logits

    def _attributes(self, batch: Sequence[Waiting], inputs: dict[str, Int64Array]) -> dict[str, Any]:
        host, port = self._server
        model = self._models[batch[0].student]
        found = {
            "http.request.method": "POST",
            "server.address": host,
            "server.port": port,
            "url.template": PATH,
            "classifier.model": model,
            "classifier.version": batch[0].version,
            "classifier.batch.sentences": len(batch),
            "classifier.batch.tokens": tokens_of(batch),
            "classifier.batch.padded_tokens": int(inputs["input_ids"].size),
        }
        if batch[0].alone:
            found["classifier.retry.reason"] = ALONE
        return found


class OpenTelemetryCall:
    """One call, in the traces of all who share it."""

    def __init__(self, tracer: Tracer, shares: Shares, attributes: dict[str, Any]) -> None:
        """Begin its span, and end those of waiting."""
        self._tracer = tracer
        self._shares = shares
        self._attributes = attributes
        self._begun_ns = time.time_ns()
        self._waited()
        self._first = min(shares, key=lambda request: min(waiting.since for waiting in shares[request]))
        own = {**attributes, "classifier.sentences": len(shares[self._first])}
        self._span = tracer.start_span(
            CALL, self._first.context, SpanKind.CLIENT, own, _links(shares), start_time=self._begun_ns
        )
        self._sent = 1
        self._status: int | None = None
        self.headers = _headers(self._span)

    def answered(self, status: int) -> None:
        """Triton answered with this status."""
        self._status = status

    def asked_again(self, reason: str) -> None:
        """It is sent once more."""
        self._sent += 1
        self._status = None
        self._span.add_event("retry", {"classifier.retry.reason": reason})

    def end(self, error: BaseException | None) -> None:
        """It is over: the spans of all who shared it end."""
        ended_ns = time.time_ns()
        found: dict[str, Any] = {}
        if self._status is not None:
            found["http.response.status_code"] = self._status
        if self._sent > 1:
            found["http.request.resend_count"] = self._sent - 1
        if error is not None:
            found["error.type"] = type(error).__name__
        own = [Link(self._span.get_span_context())]
        for request, sentences in self._shares.items():
            request.asked_ns = ended_ns
            if request is self._first:
                continue
            attributes = {**self._attributes, **found, "classifier.sentences": len(sentences)}
            # Not a client's: who counts calls by spans counts this one once.
            span = self._tracer.start_span(
                CALL, request.context, SpanKind.INTERNAL, attributes, own, start_time=self._begun_ns
            )
            _end(span, error, ended_ns)
        self._span.set_attributes(found)
        _end(self._span, error, ended_ns)

    def _waited(self) -> None:
        """A span for each request that waited, from its first sentence on."""
        offset_ns = self._begun_ns - time.perf_counter_ns()
        for request, sentences in self._shares.items():
            since_ns = int(1e9 * min(waiting.since for waiting in sentences)) + offset_ns
            if sentences[0].alone:
                since_ns = max(since_ns, request.asked_ns)  # it had a call before
            attributes = {"classifier.sentences": len(sentences)}
            self._tracer.start_span(WAIT, request.context, attributes=attributes, start_time=since_ns).end(
                self._begun_ns
            )


def _shares(batch: Sequence[Waiting]) -> Shares:
    shares: Shares = {}
    for waiting in batch:
        if waiting.trace is not None:
            shares.setdefault(waiting.trace, []).append(waiting)
    for request in list(shares):
        request.calls += 1
        if request.calls > MOST_CALLS:
            del shares[request]
    return shares


def _links(shares: Shares) -> list[Link] | None:
    return [Link(request.span.get_span_context()) for request in shares] if len(shares) > 1 else None


def _headers(span: Span) -> str:
    own = span.get_span_context()
    if not own.trace_flags & TraceFlags.SAMPLED:
        return ""  # Triton would follow it all the same
    lines = f"{TRACEPARENT.decode()}: 00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}\r\n"
    if state := own.trace_state.to_header():
        lines += f"{TRACESTATE.decode()}: {state}\r\n"
    return lines


def _end(span: Span, error: BaseException | None, ended_ns: int) -> None:
    if error is not None:
        # Our own errors are written for callers, and hold nothing of a sentence.
        span.set_status(Status(StatusCode.ERROR, str(error) if isinstance(error, GatewayError) else None))
    span.end(ended_ns)
