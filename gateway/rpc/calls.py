"""Around every call by gRPC: the key, the message, its id, errors as codes, one log line, metrics."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gateway.errors import DeadlineExceededError, GatewayError, MalformedBodyError, kind_of
from gateway.keys import KeyCheck
from gateway.metrics import Metrics
from gateway.middleware import REQUEST_ID_HEADER, UNFORESEEN, RequestRecord, note_request, request_id
from gateway.rpc.codes import CODES, PASSING, RETRY
from gateway.rpc.messages import request_of
from gateway.tracing.parts import Tracing
from gateway.tracing.traceparent import TRACEPARENT, ids_in

logger = logging.getLogger(__name__)

OK = "OK"
METHOD = "gRPC"
"""In the log, where HTTP has GET or POST."""
NO_MESSAGE = "The call ended before its message was whole."
UNDER_WAY_S = 0.1
"""The caller's clock runs from when the call was sent: so much may be left here when its deadline is over there."""
_BEARER = "bearer "
_ID = REQUEST_ID_HEADER.decode()
_PARENT = TRACEPARENT.decode()


@dataclass(slots=True)
class Call:
    """One call that is being answered."""

    message: Any
    record: RequestRecord
    within_s: float
    """How long the caller waits from now on."""
    told: dict[str, str] = field(default_factory=dict)
    """What HTTP's answer has in headers; goes into the trailing metadata."""


Answering = Callable[[Call], Awaitable[Any]]


class Calls:
    """Makes of a function that answers a message what gRPC's server calls."""

    def __init__(
        self,
        metrics: Metrics,
        log: Callable[..., None] | None,
        keys: KeyCheck | None,
        body_timeout_s: float,
        tracing: Tracing | None = None,
    ) -> None:
        """Take what counts, logs, says who may ask (None: everybody), how long a message may take, and what traces."""
        self._metrics = metrics
        self._log = log
        self._keys = keys
        self._body_timeout_s = body_timeout_s
        self._tracing = tracing

    def handler(
        self,
        service: str,
        method: str,
        answer: Answering,
        is_open: bool = False,
        codes: Mapping[type[GatewayError], str] = CODES,
    ) -> Any:
        """What answers one method; one that `is_open` asks for no key, and is not traced, as health is not.

        To gRPC's server the method takes a stream, which is the same on the wire: so the key is looked at before the
        message is read, and who does not send it is not waited for.
        """
        route = f"/{service}/{method}"
        request = request_of(service, method)

        async def handle(_: Any, context: Any) -> bytes:
            start = time.perf_counter()
            metadata = dict(context.invocation_metadata() or ())
            record = self._record(context, metadata, None if is_open else route[1:])
            call = Call(None, record, math.inf)
            status, why = "CANCELLED", ""
            try:
                if not is_open:
                    self.check_key(metadata)
                await self._take(call, context, request)
                reply: bytes = (await answer(call)).SerializeToString()
                status = OK
            except GatewayError as error:
                status, why = codes[type(error)], str(error)
                self._metrics.rejected.labels(kind_of(error)).inc()
                _failed(record, error)
            except asyncio.CancelledError:
                status = _cancelled(context)
                raise
            except Exception as error:
                logger.exception("Request %s failed.", record.request_id)
                status, why = "INTERNAL", UNFORESEEN
                _failed(record, error)
            finally:
                self._note(route, record, status, time.perf_counter() - start)
            told = ((_ID, record.request_id), *((name.lower(), value) for name, value in call.told.items()))
            if status != OK:
                await abort(context, status, why, told)
            context.set_trailing_metadata(told)
            return reply

        return grpc.stream_unary_rpc_method_handler(handle)

    async def _take(self, call: Call, context: Any, kind: Any) -> None:
        """Read the call's only message, and how long its caller waits from then on. Raises what `message` raises."""
        call.message = await self.message(context, kind)
        if call.message is None:
            raise MalformedBodyError(NO_MESSAGE)
        remaining_s = context.time_remaining()
        call.within_s = math.inf if remaining_s is None else max(0.0, remaining_s)

    def _record(self, context: Any, metadata: dict[str, str | bytes], followed: str | None) -> RequestRecord:
        """With the id and the trace that the caller names; `followed` is the method if it is traced."""
        record = RequestRecord(request_id(_bytes(metadata.get(_ID))))
        if parent := _bytes(metadata.get(_PARENT)):
            record.trace = ids_in(parent)  # of several, gRPC itself leaves one
        if self._tracing is not None and followed is not None:
            pairs = tuple(context.invocation_metadata() or ())
            record.followed = self._tracing.begin_call(followed, pairs, context.peer(), record.trace)
            record.trace = record.followed.ids
        return record

    def _note(self, route: str, record: RequestRecord, status: str, seconds: float) -> None:
        exemplar = None
        if record.followed is not None:
            exemplar = record.followed.end(route, status, record.model, record.facts)
        note_request(self._metrics, self._log, METHOD, route, record, status, seconds, exemplar)

    def check_key(self, metadata: dict[str, str | bytes]) -> None:
        """Raise UnauthorizedError unless the caller may ask."""
        if self._keys is None:
            return
        given = metadata.get("authorization", "")
        is_bearer = isinstance(given, str) and given[: len(_BEARER)].lower() == _BEARER
        self._keys.check((_bytes(given[len(_BEARER) :]) or b"").strip() if is_bearer else b"")

    async def message(self, context: Any, kind: Any) -> Any | None:
        """The next message of a call; None after the last.

        Raises:
            DeadlineExceededError: it did not come in time.
            MalformedBodyError: it is no such message.
        """
        try:
            async with asyncio.timeout(self._body_timeout_s):
                data = await context.read()
        except TimeoutError:
            error = f"The message was not whole within {self._body_timeout_s:g} seconds: send it faster, or in parts."
            raise DeadlineExceededError(error) from None
        if data is grpc.aio.EOF:
            return None
        try:
            return kind.FromString(data)
        except DecodeError:
            name = kind.DESCRIPTOR.full_name
            raise MalformedBodyError(f"The message is no {name}, or has text in it that is not UTF-8.") from None


async def abort(context: Any, status: str, why: str, told: tuple[tuple[str, str], ...] = ()) -> None:
    """End the call with a code and one sentence."""
    await context.abort(grpc.StatusCode[status], why, told + RETRY if status in PASSING else told)


def _failed(record: RequestRecord, error: Exception) -> None:
    if record.followed is not None:
        record.followed.failed(error)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _cancelled(context: Any) -> str:
    """Who gave up? gRPC cancels alike for a caller who hung up and for one whose deadline is over."""
    remaining_s = context.time_remaining()
    return "DEADLINE_EXCEEDED" if remaining_s is not None and remaining_s <= UNDER_WAY_S else "CANCELLED"
