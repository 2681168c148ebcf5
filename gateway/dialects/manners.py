"""In which status and body does a dialect say that a request is refused? One table for each, one route class for all.

What is wrong is found out by the same code for every dialect; a manner only puts it into that server's words.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from gateway.answers import ACCEPTED_CODINGS
from gateway.bodies import JsonRoute
from gateway.errors import (
    OF_FEEDBACK,
    OF_JOBS,
    RETRY_AFTER_S,
    STATUS,
    GatewayError,
    InvalidRequestError,
    UnknownModelError,
    kind_of,
)
from gateway.schemas import invalid_kind
from gateway.services import services_of

PASSING = (429, 503)
"""Statuses of errors that pass by themselves."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a request, or with the service, before any dialect's words are put to it."""

    status: int
    kind: str
    """How the metrics call it."""
    message: str
    error: type[GatewayError] | None = None
    parameter: str | None = None
    """The field of the body that is wrong, if it is one."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manner:
    """How one dialect refuses."""

    body: Callable[[Fault], Any]
    """The body of an answer that is no success."""
    statuses: Mapping[type[GatewayError], int] = field(default_factory=dict)
    """Where they are not the gateway's own."""
    invalid: int = 422
    """Status of a body that is JSON, but of another shape."""
    explained: Mapping[str, str] = field(default_factory=dict)
    """What to say of a field that has the wrong shape, where a validator's own words would mislead."""

    def fault(self, error: Exception) -> Fault:
        """What an error of a request means."""
        if isinstance(error, RequestValidationError):
            return self._invalid(error)
        if isinstance(error, HTTPException):
            return Fault(error.status_code, kind_of(error.status_code), f"{error.detail}.", headers=error.headers or {})
        assert isinstance(error, GatewayError)
        kind = type(error)
        about = "model" if kind is UnknownModelError else None
        return Fault(self._status(kind), kind_of(error), str(error), kind, about)

    def response(self, fault: Fault) -> Response:
        """The answer to a request that was refused."""
        headers = dict(fault.headers)
        if fault.status in PASSING:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        if fault.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if fault.status == 415:
            headers["Accept-Encoding"] = ACCEPTED_CODINGS
        return JSONResponse(self.body(fault), fault.status, headers)

    def openapi(self, model: type[BaseModel], *others: int) -> dict[int | str, dict[str, Any]]:
        """The statuses of refusals, all with the same body, for OpenAPI."""
        own = {self._status(kind) for kind in _OF_SENTENCES}
        return {status: {"model": model} for status in sorted({*own, self.invalid, 400, *others})}

    def _status(self, kind: type[GatewayError]) -> int:
        """Of an error, or of what it is a kind of, where this dialect says nothing of it by itself."""
        return next((self.statuses[each] for each in kind.__mro__ if each in self.statuses), STATUS[kind])

    def _invalid(self, error: RequestValidationError) -> Fault:
        first = error.errors()[0]
        kind = invalid_kind(error)
        if first["type"] == "json_invalid":
            return Fault(400, kind, "The body is not valid JSON.")
        where = [str(part) for part in first["loc"][1:]]
        about = where[0] if where else None
        message = self.explained.get(about or "") or f"{'.'.join(where) or 'body'}: {first['msg']}."
        return Fault(self.invalid, kind, message, InvalidRequestError, about)


_ELSEWHERE = OF_JOBS | OF_FEEDBACK | {404}
_OF_SENTENCES = [kind for kind, status in STATUS.items() if status not in _ELSEWHERE or kind is UnknownModelError]


class DialectRoute(JsonRoute):
    """A route whose errors are answered in a dialect's words, while the other routes keep the gateway's own."""

    manner: ClassVar[Manner]

    def manner_of(self, request: Request) -> Manner:  # noqa: ARG002
        """The manner in which this request is refused."""
        return self.manner

    async def prepared(self, request: Request) -> Request:
        """The request with a body in JSON, of a dialect that has other bodies, too. Raises GatewayError."""
        return request

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(await self.prepared(request))
            except (RequestValidationError, HTTPException, GatewayError) as error:
                manner = self.manner_of(request)
                fault = manner.fault(error)
                services_of(request).metrics.rejected.labels(fault.kind).inc()
                return manner.response(fault)

        return handle_or_refuse
