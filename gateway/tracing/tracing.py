"""Which requests are followed, and who else takes part? All but those for health and metrics, through every model."""

import time
from collections.abc import Sequence

from opentelemetry.trace import Status, StatusCode, Tracer
from starlette.types import Scope

from gateway.classifier import Classifier
from gateway.encoding import Text, Tokens, encode
from gateway.errors import GatewayError
from gateway.loaded_version import LoadedVersion
from gateway.service import Service
from gateway.tokenization import Side
from gateway.tracing.calls import OpenTelemetryCalls
from gateway.tracing.export import Export
from gateway.tracing.request import REQUEST, OpenTelemetryRequest, begin_request
from gateway.tracing.rpc_call import Metadata, begin_call
from gateway.tracing.traceparent import TraceIds
from repository.cascade import student_model

TOKENIZE = "tokenize"


class OpenTelemetryTracing:
    """Follows the requests of one process."""

    def __init__(self, tracer: Tracer, export: Export) -> None:
        self._tracer = tracer
        self._export = export

    def begin(self, scope: Scope, path: str, caller: TraceIds | None) -> OpenTelemetryRequest | None:
        """Begin the span of a request; None for one whose kind is never followed."""
        request = None if _is_of_state(path) else begin_request(self._tracer, scope, path, caller)
        # Set each time: a request that came behind another on its connection inherits what that one had.
        REQUEST.set(request if request is not None and request.span.is_recording() else None)
        return request

    def begin_call(self, method: str, metadata: Metadata, peer: str, caller: TraceIds | None) -> OpenTelemetryRequest:
        """Begin the span of a call by gRPC."""
        call = begin_call(self._tracer, method, metadata, peer, caller)
        REQUEST.set(call if call.span.is_recording() else None)
        return call

    def follow(self, service: Service) -> None:
        """Follow what is asked of a model from now on."""
        settings = service.settings
        models = (settings.model_name, student_model(settings.model_name))
        service.batcher.spans = OpenTelemetryCalls(
            self._tracer, models, (settings.triton_host, settings.triton_http_port)
        )
        _follow_classifier(service.classifier, self._tracer)

    def close(self) -> None:
        """Send what is not sent yet, in a bounded time."""
        self._export.close()


class _ClassifierSpans:
    """Follows what a request asks of a model, beside its calls."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def failed(self, error: Exception) -> None:
        """The request that is being answered here fails by this."""
        if (request := REQUEST.get()) is not None:
            request.failed(error)

    def asked_again(self, reason: str) -> None:
        """It is asked anew."""
        if (request := REQUEST.get()) is not None:
            request.asked_again(reason)

    async def encode(
        self, version: LoadedVersion, texts: Sequence[Text], truncate: bool, side: Side | None
    ) -> list[Tokens]:
        """Tokenize as `gateway.encoding.encode` does, in a span."""
        request = REQUEST.get()
        if request is None:
            return await encode(version, texts, truncate, side)
        attributes = {"classifier.version": version.number, "classifier.sentences": len(texts)}
        span = self._tracer.start_span(TOKENIZE, request.context, attributes=attributes, start_time=time.time_ns())
        try:
            encoded = await encode(version, texts, truncate, side)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, str(error) if isinstance(error, GatewayError) else None))
            raise
        else:
            span.set_attribute("classifier.tokens", sum(len(tokens.ids) for tokens in encoded))
            return encoded
        finally:
            span.end()


def _follow_classifier(classifier: Classifier, tracer: Tracer) -> None:
    spans = _ClassifierSpans(tracer)
    classifier.spans = spans
    classifier.encode = spans.encode


def _is_of_state(path: str) -> bool:
    """Whether it is asked for by machines that look after the gateway, every few seconds and all day."""
    return path in ("/metrics", "/health", "/ping") or "/health/" in path
