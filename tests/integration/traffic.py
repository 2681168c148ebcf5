"""Requests without pause over many connections while a test does something to the service, and all that was answered.

The test shares the processor with the service, so a request is bytes made beforehand and an answer is only counted;
what is in it is looked at afterwards.
"""

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote

import httptools
import uvloop


class Question(NamedTuple):
    """A request: GET for one sentence, POST for several."""

    sentences: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """As it is sent."""
        if len(self.sentences) == 1:
            return f"GET /classify?sentence={quote(self.sentences[0])} HTTP/1.1\r\nhost: gateway\r\n\r\n".encode()
        body = json.dumps({"sentences": self.sentences}).encode()
        head = "POST /classify HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


class Answer(NamedTuple):
    """What came back; status 0 if the connection ended instead, `body` says how."""

    question: Question
    status: int
    version: int | None
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Traffic:
    """Asks the questions in turn over `connections` connections, on a thread of its own, until its block ends."""

    def __init__(self, port: int, questions: Sequence[Question], connections: int = 64) -> None:
        self.answers: Counter[Answer] = Counter()
        """How often each answer came; complete when the block has ended."""
        self.versions: set[int | None] = set()
        """Versions that have answered so far; None for an answer that names none."""
        self.asked = 0
        self.went_back = 0
        """Answers of an older version than the one before on the same connection."""
        self.seconds = 0.0
        self._port = port
        self._questions = itertools.cycle([(question, question.to_bytes()) for question in questions])
        self._connections = connections
        self._stopping = False
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()

    def next_question(self) -> tuple[Question, bytes] | None:
        """For a connection that has its answer; None at the end."""
        return None if self._stopping else next(self._questions)

    def take(self, answer: Answer, version_before: int | None) -> None:
        """Count an answer."""
        self.answers[answer] += 1
        self.versions.add(answer.version)
        self.asked += 1
        self.went_back += (answer.version or 0) < (version_before or 0)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = time.monotonic()
        connections = [_Connection(self, loop.create_future()) for _ in range(self._connections)]
        for connection in connections:
            await loop.create_connection(lambda connection=connection: connection, "127.0.0.1", self._port)  # type: ignore[misc]
        await asyncio.gather(*(connection.done for connection in connections))
        self.seconds = time.monotonic() - start


class _Connection(asyncio.Protocol):
    def __init__(self, traffic: Traffic, done: "asyncio.Future[None]") -> None:
        self.done = done
        self._traffic = traffic
        self._question = Question(())
        self._version: int | None = None
        self._version_before: int | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-model-version":
            self._version = int(value)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._take(self._parser.get_status_code(), b"".join(self._body))
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._take(0, repr(exc).encode())
            self.done.set_result(None)

    def _take(self, status: int, body: bytes) -> None:
        self._traffic.take(Answer(self._question, status, self._version, body), self._version_before)

    def _ask(self) -> None:
        self._version_before, self._version, self._body = self._version, None, []
        asked = self._traffic.next_question()
        if asked is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._question, request = asked
        self._transport.write(request)
