"""Calls are followed for those requests alone that are recorded, and only so many of each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Tracer

from gateway.batcher import Batcher, BatchLimits
from gateway.tracing.calls import CALL, WAIT, OpenTelemetryCalls
from gateway.tracing.request import MOST_CALLS, REQUEST, OpenTelemetryRequest, begin_request
from gateway.tracing.traceparent import ids_in
from repository.inference import Float32Array, Int64Array
from repository.manifest import Manifest
from tests.version_folders import write_version

LIMITS = BatchLimits(calls=1, tokens=64, sentences=16, waiting=1000, deadline_s=20.0)
SCOPE: dict[str, Any] = {"method": "GET", "scheme": "http", "http_version": "1.1", "headers": [], "server": ("h", 80)}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder: Path = tmp_path_factory.mktemp("calls") / "version"
    return Manifest.read(write_version(folder, {"cat": "Animal", "oak": "Plant"}))


class Traced:
    """A batcher that is followed, before a Triton that is a function."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("test")
        self.headers: list[str | None] = []
        self.batcher = Batcher(self.infer, LIMITS)
        self.batcher.spans = OpenTelemetryCalls(self.tracer, ("classifier", "student"), ("triton", 8100))

    async def infer(self, version: int, inputs: dict[str, Int64Array], trace: Any = None) -> Float32Array:
        self.headers.append(None if trace is None else trace.headers)
        await asyncio.sleep(0)
        return np.zeros((len(inputs["input_ids"]), 2), dtype=np.float32) + version

    def request(self, header: str = "", state: str = "") -> OpenTelemetryRequest:
        scope = {**SCOPE, "headers": [(b"tracestate", state.encode())] if state else []}
        return begin_request(self.tracer, scope, "/classify", ids_in(header.encode()))

    def spans(self, name: str) -> Sequence[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]


def run(traced: Traced, test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await test()
        traced.batcher.close()

    asyncio.run(within())


def test_who_is_not_recorded_costs_no_span_and_tells_triton_nothing(manifest: Manifest) -> None:
    traced = Traced()

    async def test() -> None:
        await traced.batcher.submit(1, manifest, [5])

    run(traced, test)
    assert traced.headers == [None]
    assert traced.spans(CALL) == traced.spans(WAIT) == []


def test_triton_is_told_of_the_call_with_the_callers_state(manifest: Manifest) -> None:
    traced = Traced()

    async def test() -> None:
        REQUEST.set(traced.request(f"00-{'a' * 32}-{'b' * 16}-01", "vendor=one"))
        await traced.batcher.submit(1, manifest, [5])

    run(traced, test)
    (call,) = traced.spans(CALL)
    assert call.context is not None
    own = f"00-{'a' * 32}-{call.context.span_id:016x}-01"
    assert traced.headers == [f"traceparent: {own}\r\ntracestate: vendor=one\r\n"]


@pytest.mark.parametrize("state", ["no pair", "a=b\r\nx: y", "a=" + "b" * 5000, "=", "A=b"])
def test_a_bad_state_is_not_handed_on(manifest: Manifest, state: str) -> None:
    traced = Traced()

    async def test() -> None:
        REQUEST.set(traced.request(f"00-{'a' * 32}-{'b' * 16}-01", state))
        await traced.batcher.submit(1, manifest, [5])

    run(traced, test)
    assert str(traced.headers[0]).count("\r\n") == 1


class RecordOnly(Sampler):
    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "records, and samples nothing"


def test_triton_is_not_told_of_what_is_not_sampled(manifest: Manifest) -> None:
    """It would follow it whatever the flags say."""
    traced = Traced(RecordOnly())

    async def test() -> None:
        REQUEST.set(traced.request())
        await traced.batcher.submit(1, manifest, [5])

    run(traced, test)
    assert traced.headers == [""]


def test_a_request_has_only_so_many_calls(manifest: Manifest) -> None:
    traced = Traced()

    async def test() -> None:
        REQUEST.set(traced.request())
        long = [1] * LIMITS.tokens  # each goes alone
        await asyncio.gather(*(traced.batcher.submit(1, manifest, long) for _ in range(MOST_CALLS + 5)))

    run(traced, test)
    assert len(traced.headers) == MOST_CALLS + 5
    assert len(traced.spans(CALL)) == len(traced.spans(WAIT)) == MOST_CALLS


def test_a_call_that_is_given_up_ends(manifest: Manifest) -> None:
    traced = Traced()
    never = asyncio.Event()

    async def hang(version: int, inputs: dict[str, Int64Array], trace: Any = None) -> Float32Array:
        trace.asked_again("it was sent once more")
        await never.wait()
        return await traced.infer(version, inputs)

    traced.batcher._infer = hang

    async def test() -> None:
        REQUEST.set(traced.request())
        row = traced.batcher.submit(1, manifest, [5])
        for _ in range(5):
            await asyncio.sleep(0)
        traced.batcher.close()
        await asyncio.gather(row, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)

    run(traced, test)
    (call,) = traced.spans(CALL)
    assert call.attributes is not None
    assert call.attributes["error.type"] == "CancelledError"
    assert call.attributes["http.request.resend_count"] == 1
    assert [event.attributes for event in call.events] == [{"classifier.retry.reason": "it was sent once more"}]
