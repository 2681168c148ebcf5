"""`gateway/protocol.py`: bytes mean the same in one segment or in many, and what h11 makes of them where it takes them.

Input: all that a caller sends, before it stops sending.
"""

import asyncio
import hashlib
import json
from typing import Any, NamedTuple

import h11
import httptools
from starlette.types import Receive, Scope, Send

from tests.fuzz.connection import converse, pieces, run

FILES = ("gateway/parsing.py", "gateway/protocol.py", "gateway/refusals.py")
WORDS = (
    b"GET / HTTP/1.1\r\n",
    b"POST /classify HTTP/1.1\r\n",
    b"HEAD ",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\n",
    b"Upgrade: h2c\r\n",
    b"HTTP2-Settings: AA\r\n",
    b"Expect: 100-continue\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b";x=y",
    b"\r\n\r\n",
    b"http://a/b?c#d",
    b"\xc3\xa9",
    b"%C3%A9",
)


class Request(NamedTuple):
    """One request as the application sees it."""

    method: str
    target: bytes
    body: bytes


class Echo:
    """An application that keeps each whole request, and answers with what it was."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body, more = b"", True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
                more = message["more_body"]
        except asyncio.CancelledError:  # the rest will not come; the gateway's own middleware takes this as well
            return
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.requests.append(Request(scope["method"], target, body))
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        said = [scope["method"], scope["path"], target.decode("latin-1"), headers, hashlib.sha256(body).hexdigest()]
        answer = json.dumps(said).encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


def check(data: bytes) -> None:
    """Raises AssertionError: the connection breaks a promise."""
    whole = Echo()
    outcome = run(converse(whole, [data] if data else []))
    assert not outcome.faults, outcome.faults
    statuses = answers(outcome.answered, [request.method for request in whole.requests])
    assert statuses[: len(whole.requests)] == [200] * len(whole.requests)
    assert len(statuses) <= len(whole.requests) + 1, "more answers than requests and a refusal"
    for parts in (pieces(data), [data[place : place + 1] for place in range(min(len(data), 600))] + [data[600:]]):
        cut = Echo()
        again = run(converse(cut, [part for part in parts if part]))
        assert not again.faults, again.faults
        assert (again.answered, again.is_closed) == (outcome.answered, outcome.is_closed)
        assert cut.requests == whole.requests
    for ours, theirs in zip(whole.requests, by_h11(data), strict=False):
        assert (ours.method, ours.body) == (theirs.method, theirs.body)
        if theirs.target.startswith(b"/"):
            assert ours.target == theirs.target.partition(b"#")[0].removesuffix(b"?")


def answers(content: bytes, methods: list[str]) -> list[int]:
    """The status of each final answer. Raises AssertionError: it is no HTTP, or not whole."""
    statuses, rest = [], content
    while rest:
        listener = _Answer()
        parser = httptools.HttpResponseParser(listener)
        head, _, body = rest.partition(b"\r\n\r\n")
        parser.feed_data(head + b"\r\n\r\n")
        status = parser.get_status_code()
        if status == 100:
            rest = body
            continue
        asked = methods[len(statuses)] if len(statuses) < len(methods) else ""
        length = 0 if asked == "HEAD" else listener.length
        assert len(body) >= length, "half of an answer"
        rest = body[length:]
        statuses.append(status)
    return statuses


class _Answer:
    length = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-length":
            self.length = int(value)


def by_h11(data: bytes) -> list[Request]:
    """The requests of a connection as h11 reads them, up to the first that it does not take."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    found: list[Request] = []
    request: Any = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append(Request(request.method.decode(), bytes(request.target), body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            else:
                return found
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        return found
