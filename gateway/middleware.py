"""Around every request: its id, one log line, metrics, and silence after a caller hung up."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.metrics import Metrics
from gateway.tracing.parts import RequestTrace, Tracing
from gateway.tracing.traceparent import TRACEPARENT, TraceIds, ids_in

logger = logging.getLogger(__name__)

UNFORESEEN = "The gateway failed; its log says why."

REQUEST_ID_HEADER = b"x-request-id"
HUNG_UP = 499
"""Status in log and metrics of a request whose caller did not wait for the answer, as nginx writes it."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass
class RequestRecord:
    """What the log line says of a request; routes put in what they learn."""

    request_id: str
    model: str = ""
    """Name of the model that is asked; empty where none is."""
    route: str | None = None
    """Template of the path, where it was not FastAPI that routed."""
    facts: dict[str, Any] = field(default_factory=dict)
    trace: TraceIds | None = None
    """The trace that it is part of, and the span there: its own where requests are traced, else the caller's."""
    followed: RequestTrace | None = None
    """What follows it, where requests are traced."""


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request that is being answered."""
    record: RequestRecord = scope["state"]["record"]
    return record


class Observed:
    """ASGI middleware that gives a request its id, counts it, writes its log line and, where that is on, traces it."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, log: Callable[..., None] | None, tracing: Tracing | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        record = _new_record(scope)
        scope.setdefault("state", {})["record"] = record
        asked = _simplest(scope)
        if (
            self._tracing is not None
            and (followed := self._tracing.begin(scope, asked["path"], record.trace)) is not None
        ):
            record.followed, record.trace = followed, followed.ids
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, record.request_id.encode())]
            await send(message)

        try:
            await self._app(asked, receive, send_with_id)
        except asyncio.CancelledError:
            # Nobody is there to be told, or the connection told them: the rest of the request did not come.
            status = scope["state"].get("refused", HUNG_UP)
        except Exception as error:
            logger.exception("Request %s failed.", record.request_id)
            if record.followed is not None:
                record.followed.failed(error)
            if status is None:
                await JSONResponse({"error": UNFORESEEN}, 500)(scope, receive, send_with_id)
        finally:
            self._note(scope["method"], asked, record, status or 500, time.perf_counter() - start)

    def _note(self, method: str, scope: Scope, record: RequestRecord, status: int, seconds: float) -> None:
        # The template, not the path: a metric must not grow with every path that somebody tries.
        known = record.route or getattr(scope.get("route"), "path", None)
        exemplar = None
        if record.followed is not None:
            exemplar = record.followed.end(known, status, record.model, record.facts)
        note_request(self._metrics, self._log, method, known or "unknown", record, status, seconds, exemplar)


def note_request(
    metrics: Metrics,
    log: Callable[..., None] | None,
    method: str,
    route: str,
    record: RequestRecord,
    status: int | str,
    seconds: float,
    exemplar: dict[str, str] | None = None,
) -> None:
    """Count one request that is over and write its log line; `status` is HTTP's number, or the name of gRPC's code."""
    metrics.request(record.model, route, str(status), seconds, exemplar)
    if log is not None:
        log(
            "request",
            request_id=record.request_id,
            method=method,
            route=route,
            status=status,
            ms=round(1000 * seconds, 2),
            **({"model": record.model} if record.model else {}),
            **({"trace_id": record.trace.trace_id, "span_id": record.trace.span_id} if record.trace else {}),
            **record.facts,
        )


def _simplest(scope: Scope) -> Scope:
    """What is asked for, without what changes nothing: HEAD is GET whose body uvicorn leaves out (it reads `scope`);
    slashes at the end and double ones come from addresses put together by hand, and a redirect loses a POST's body.
    """
    path: str = scope["path"]
    if scope["method"] != "HEAD" and "//" not in path and (path == "/" or not path.endswith("/")):
        return scope
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "path": "/" + "/".join(part for part in path.split("/") if part)}


class BodyLimit:
    """ASGI middleware that refuses a longer body, before it is read where its length is declared.

    Starlette's own answers in plain text; this one raises where the route reads the body, so that the route's errors
    look like all its others.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        """`larger` are bounds of single paths."""
        self._app = app
        self._most_bytes = most_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        length = int(declared) if declared.isdecimal() else 0
        most_bytes = self._larger.get(scope["path"], self._most_bytes) if self._larger else self._most_bytes

        async def receive_at_most() -> Message:
            nonlocal length
            if length <= most_bytes:
                message = await receive()
                if declared:
                    return message  # httptools ends the body there
                length += len(message.get("body", b""))
            if length > most_bytes:
                raise HTTPException(413, f"The body is longer than {most_bytes} bytes: send fewer sentences")
            return message

        await self._app(scope, receive_at_most, send)


def _new_record(scope: Scope) -> RequestRecord:
    """With the id and the trace that the caller names, if they are fit to be named."""
    given = parent = None
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and given is None:
            given = value
        elif name == TRACEPARENT:
            parent = value if parent is None else b""  # two of them say nothing
    record = RequestRecord(request_id(given))
    if parent:
        record.trace = ids_in(parent)
    return record


def request_id(given: bytes | None) -> str:
    """The caller's own id for the request if it is fit for one, or a new one."""
    # Only what can stand in a log line and a header without being mistaken for more of it.
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{random.getrandbits(128):032x}"  # tells requests apart, keeps no secret
