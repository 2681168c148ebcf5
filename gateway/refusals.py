"""What is answered to bytes that are no request, or to callers for whom there is no room, before the application."""

import json
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import RETRY_AFTER_S
from gateway.metrics import Metrics

MAX_HEAD_BYTES = 524_288
"""Most bytes of request line and headers; a sentence in a URL takes up to three bytes for one of its own."""
MAX_HEADERS = 1_000


@dataclass(frozen=True)
class Refusal:
    """One JSON sentence, after which the connection is closed."""

    status: str
    kind: str
    """Its name in the metrics."""
    error: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return json.dumps({"error": self.error}).encode()

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers."""
        always = (
            ("content-type", "application/json"),
            ("content-length", str(len(self.body))),
            ("connection", "close"),
        )
        return [(name.encode(), value.encode()) for name, value in (*always, *self.headers)]

    def encoded(self) -> bytes:
        """The whole answer."""
        lines = [f"HTTP/1.1 {self.status}".encode(), *(b"%b: %b" % header for header in self.all_headers())]
        return b"\r\n".join([*lines, b"", self.body])


class RefusedError(Exception):
    """Raised in a callback of the parser, which then stops."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


NO_HTTP = Refusal("400 Bad Request", "BadRequest", "Invalid HTTP request received.")
CUT_OFF = Refusal("400 Bad Request", "BadRequest", "The request ended before it was whole.")
FRAMING = Refusal("400 Bad Request", "BadRequest", "The body's chunks have more around them than in them.")
NO_PROXY = Refusal(
    "405 Method Not Allowed",
    "MethodNotAllowed",
    "This is no proxy: ask it by GET or POST.",
    (("allow", "GET, HEAD, POST"),),
)
URI_TOO_LONG = Refusal(
    "414 URI Too Long",
    "UriTooLong",
    f"The request line and headers are longer than {MAX_HEAD_BYTES} bytes: send the sentence by POST.",
)
HEAD_TOO_LARGE = Refusal(
    "431 Request Header Fields Too Large",
    "HeadTooLarge",
    f"The headers are longer than {MAX_HEAD_BYTES} bytes, or more than {MAX_HEADERS}: send fewer.",
)
NO_ROOM = Refusal(
    "503 Service Unavailable",
    "TooManyConnections",
    "All connections are taken; try again shortly.",
    (("retry-after", str(RETRY_AFTER_S)),),
)
NO_HTTP_2 = Refusal("505 HTTP Version Not Supported", "BadRequest", "HTTP/2 is not spoken here: use HTTP/1.1.")


def late(what: str, limit_s: float) -> Refusal:
    """For a caller who takes too long to say something."""
    error = f"The {what} was not whole within {limit_s:g} seconds: send it faster, or in parts."
    return Refusal("408 Request Timeout", "RequestTimeout", error)


def health_alone(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """The application for a connection past the bound: it answers whether the gateway lives, and refuses all else."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/health/"):
            await app(scope, receive, send)
            return
        metrics.rejected.labels(NO_ROOM.kind).inc()
        await send({"type": "http.response.start", "status": 503, "headers": NO_ROOM.all_headers()})
        await send({"type": "http.response.body", "body": NO_ROOM.body})

    return answer
