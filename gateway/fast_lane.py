"""Answers the plainest and most frequent request, `GET /classify?sentence=…`, without FastAPI's machinery around it.

FastAPI's routing, validation and layers cost about as much processor time a request as all the rest of the gateway.
A request with that one parameter leaves them nothing to do; every other request goes on to FastAPI, whose route calls
the same function, so that both ways give the same answer. They are tested against each other.
"""

from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.answers import Answer, classify_sentence, error_answer
from gateway.encoding import Text
from gateway.errors import GatewayError
from gateway.middleware import record_of
from gateway.services import ServicesHolder

PATH = "/classify"
_PARAMETER = b"sentence="


class FastLane:
    """ASGI middleware in front of the FastAPI application."""

    def __init__(self, app: ASGIApp, holder: ServicesHolder) -> None:
        self._app = app
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, here or further on."""
        sentence = _only_sentence(scope)
        if sentence is None:
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        record.route = PATH
        services = self._holder.services
        service = services.default
        record.model = service.settings.model_name
        try:
            answer = await classify_sentence(service, record, Text(sentence))
        except GatewayError as error:
            answer = error_answer(error, services.metrics)
        await _send(answer, send)


def _only_sentence(scope: Scope) -> str | None:
    """The sentence, if the request is a GET of `/classify` with nothing but a sentence."""
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET":
        return None
    query: bytes = scope["query_string"]
    if not query.startswith(_PARAMETER) or b"&" in query:
        return None
    # As Starlette reads a query; bytes that are no UTF-8 become U+FFFD.
    return unquote_plus(query[len(_PARAMETER) :].decode("latin-1"))


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
