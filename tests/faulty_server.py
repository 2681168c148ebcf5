"""A real HTTP server that speaks as the gateway does, until it is told to do something else: what clients must survive.

It answers each sentence with itself as the label, so that a test sees whose answer it got.
"""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO


@dataclass(frozen=True)
class Request:
    """One request that came."""

    number: int
    """How many came before it."""
    connection: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float

    @property
    def texts(self) -> list[Any]:
        """What it asks."""
        found: list[Any] = self.body.get("sentences") or self.body.get("pairs") or []
        return found


@dataclass(frozen=True)
class Reply:
    """What the server does with a request; by itself it answers it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """None: the answer to the texts, or to another status a sentence."""
    after_s: float = 0.0
    """Nothing is sent before; it ends early when the server stops."""
    sends: int | None = None
    """So many bytes of the whole answer are sent, then the connection is closed; 0 drops it without a word."""
    pause_s: float = 0.0
    """Between two bytes."""


Behaviour = Callable[[Request], Reply]


def answer(_: Request) -> Reply:
    """Answer at once."""
    return Reply()


def scripted(*replies: Reply) -> Behaviour:
    """The first requests get these, all others an answer."""
    return lambda request: replies[request.number] if request.number < len(replies) else Reply()


class FaultyServer:
    """Listens on 127.0.0.1 and keeps what it was asked."""

    def __init__(self, behave: Behaviour = answer) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self.hung_up = 0
        """Requests whose caller did not wait for the answer."""
        self.most_at_once = 0
        self.connected = 0
        """Connections that are open."""
        self._now = self._connections = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        faulty = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    faulty._talk(self.rfile, self.wfile, self.connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultyServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self) -> list[list[Any]]:
        """The texts of each request."""
        return [request.texts for request in self.requests]

    def _talk(self, reader: Any, writer: Any, connection: Any) -> None:
        with self._lock:
            self._connections += 1
            self.connected += 1
            mine = self._connections
        try:
            while (request := self._read(reader, mine)) is not None and self._reply(request, writer, connection):
                pass
        finally:
            with self._lock:
                self.connected -= 1

    def _reply(self, request: Request, writer: Any, connection: Any) -> bool:
        """Whether the connection may go on."""
        reply = self.behave(request)
        try:
            return self._send(reply, request, writer, connection)
        finally:
            with self._lock:
                self._now -= 1

    def _read(self, reader: BinaryIO, connection: int) -> Request | None:
        first = reader.readline().decode().split()
        if not first:
            return None
        headers = {}
        while line := reader.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        content = reader.read(int(headers["content-length"]))
        if len(content) < int(headers["content-length"]):
            return None  # its caller left while sending
        body = json.loads(content)
        with self._lock:
            request = Request(len(self.requests), connection, first[1], headers, body, time.monotonic())
            self.requests.append(request)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        return request

    def _send(self, reply: Reply, request: Request, writer: Any, connection: Any) -> bool:
        """The same of this reply."""
        if reply.after_s and self._waits(reply.after_s, connection):
            return False
        content = _encoded(reply, request)
        if reply.sends is not None:
            writer.write(content[: reply.sends])
            return False
        if reply.pause_s:
            for place in range(len(content)):
                writer.write(content[place : place + 1])
                if self._waits(reply.pause_s, connection):
                    return False
        else:
            writer.write(content)
        return True

    def _waits(self, seconds: float, connection: Any) -> bool:
        """Wait; whether the caller hung up meanwhile, or the server was stopped."""
        until = time.monotonic() + seconds
        connection.settimeout(0.01)
        try:
            while time.monotonic() < until:
                if self._stopped.is_set():
                    return True
                with contextlib.suppress(TimeoutError):
                    if connection.recv(1) == b"":
                        with self._lock:
                            self.hung_up += 1
                        return True
        finally:
            connection.settimeout(None)
        return False


def _encoded(reply: Reply, request: Request) -> bytes:
    body = reply.body
    if body is None and reply.status == 200:
        body = json.dumps([[{"label": _label(text), "score": 0.5}] for text in request.texts]).encode()
    elif body is None:
        body = json.dumps({"error": f"The server says {reply.status}."}).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": f"request-{request.number}",
        "x-model-version": "3",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def _label(text: Any) -> str:
    return text if isinstance(text, str) else "+".join(text)


@contextlib.contextmanager
def faulty_server(behave: Behaviour = answer) -> Iterator[FaultyServer]:
    """A running one."""
    with FaultyServer(behave) as server:
        yield server
