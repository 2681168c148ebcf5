"""What do the gateway's parts ask of tracing, where it is on? Told without OpenTelemetry, which they never import."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from starlette.types import Scope

from gateway.tracing.traceparent import TraceIds
from gateway.waiting import Waiting
from repository.inference import Float32Array, Int64Array


class RequestTrace(Protocol):
    """One request that is followed, from its head to its answer."""

    @property
    def ids(self) -> TraceIds:
        """Its trace, and its own span in it."""

    def failed(self, error: BaseException) -> None:
        """It cannot be answered; the last such error is the one that its span names."""

    def asked_again(self, reason: str) -> None:
        """Something that was asked of Triton in vain is asked anew."""

    def end(self, route: str | None, status: int | str, model: str, facts: Mapping[str, Any]) -> dict[str, str] | None:
        """It is answered.

        Args:
            route: template of its path; None where there is none.
            status: of the answer, HTTP's number or the name of gRPC's code.
            model: name of the model that was asked; may be empty.
            facts: what its log line says of it.

        Returns:
            The labels of an exemplar that leads to its trace; None where the trace is not recorded.
        """


class Tracing(Protocol):
    """Follows requests."""

    def begin(self, scope: Scope, path: str, caller: TraceIds | None) -> RequestTrace | None:
        """A request came; None if it is one that is never followed.

        Args:
            scope: what is asked.
            path: the same as `scope` has, without slashes that change nothing.
            caller: the span of the caller's that it belongs to.
        """

    def begin_call(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], peer: str, caller: TraceIds | None
    ) -> RequestTrace:
        """A call by gRPC came.

        Args:
            method: what is called, `package.Service/Method`.
            metadata: what came with it.
            peer: the caller's end of the connection, as gRPC names it.
            caller: the span of the caller's that it belongs to.
        """

    def follow(self, service: Any) -> None:
        """Follow what is asked of a model, a `gateway.service.Service`, from now on."""

    def close(self) -> None:
        """Send what is not sent yet, in a bounded time."""


class CallTrace(Protocol):
    """One call to Triton that is followed."""

    headers: str
    """Lines of an HTTP head that tell Triton of it, each with its line break."""

    def answered(self, status: int) -> None:
        """Triton answered with this status."""

    def asked_again(self, reason: str) -> None:
        """It is sent once more."""


class CallSpans(Protocol):
    """Follows the calls of one model's batcher."""

    def request(self) -> Any:
        """The request that is being answered here; None if it is not recorded."""

    async def call(
        self, batch: Sequence[Waiting], inputs: dict[str, Int64Array], infer: Callable[..., Awaitable[Float32Array]]
    ) -> Float32Array:
        """What `infer(version, inputs)` returns; it gets a CallTrace, too, where somebody's trace is recorded."""


class ClassifierSpans(Protocol):
    """Follows what a request asks of a model."""

    def failed(self, error: Exception) -> None:
        """The request that is being answered here fails by this."""

    def asked_again(self, reason: str) -> None:
        """It is asked anew."""
