"""A closed loop of HTTP connections: each sends its next request when the answer to the one before is there.

The load generator shares the processor with what it measures, so it does little: requests are bytes made beforehand,
and of an answer only its length is read. `requests` and `wrk` with a script cost more or measure less.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, takewhile
from typing import cast
from urllib.parse import quote, urlsplit

import uvloop

GIVE_UP_S = 60.0
"""What is not answered by then after the last request will not be answered."""

RUN_UP_S = 0.5
"""Of a load that lasts a time: the first batches are small, and the first answers all late."""

OnAnswer = Callable[[bytes, bytes, bytes], None]
"""Told the request, and the head and the body of its answer."""

_LENGTH = b"content-length: "
_CHUNKED = b"transfer-encoding: chunked"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class LoadResult:
    """What a round of load gave."""

    seconds: float = 0.0
    """In which what counts was answered."""
    outside: int = 0
    """Successful answers that do not count for the rate: they came after that time, or before it."""
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    first_failure: str = ""
    """Body of the first answer that was no success."""

    @property
    def per_second(self) -> float:
        """Successful answers a second; a backlog that is worked off when nobody asks any more does not count."""
        return (self.statuses[200] - self.outside) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """The latency that `share` of the requests did not exceed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def get_requests(url: str, sentences: Sequence[str]) -> list[bytes]:
    """`GET {url}?sentence=…` for each sentence."""
    parts = urlsplit(url)
    head = f" HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode()
    return [f"GET {parts.path}?sentence={quote(sentence)}".encode() + head for sentence in sentences]


def post_request(url: str, body: bytes) -> bytes:
    """`POST {url}` with a JSON body."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


def closed_loop(url: str, requests: Sequence[bytes], connections: int) -> LoadResult:
    """Send each request once, over `connections` connections; the time is from the first request to the last answer."""
    return uvloop.run(_closed_loop(url, requests, min(connections, len(requests))))


def closed_loop_for(
    url: str, requests: Sequence[bytes], connections: int, seconds: float, run_up_s: float = RUN_UP_S
) -> LoadResult:
    """Send requests in turn over `connections` connections; what is answered in `seconds` counts.

    These begin `run_up_s` after the first request, when batches are on their way, and end while all connections ask:
    neither an empty start nor the last answers, for which nobody waits in line any more, are part of the figures.

    Raises:
        TimeoutError: an answer did not come within `GIVE_UP_S` after that.
    """
    total_s = run_up_s + seconds

    async def bounded() -> LoadResult:
        window = (run_up_s, total_s)
        return await asyncio.wait_for(
            _closed_loop(url, _until(requests, total_s), connections, window=window), total_s + GIVE_UP_S
        )

    result = uvloop.run(bounded())
    result.seconds = seconds
    return result


def closed_loop_until(
    url: str, requests: Sequence[bytes], connections: int, is_over: Callable[[], bool], on_answer: OnAnswer
) -> LoadResult:
    """Send requests in turn until `is_over()`, over `connections` connections; every answer is shown to `on_answer`.

    Raises:
        OSError: the server closed a connection, or takes none.
    """
    in_turn = takewhile(lambda _: not is_over(), cycle(requests))
    return uvloop.run(_closed_loop(url, in_turn, connections, on_answer))


def _until(requests: Sequence[bytes], seconds: float) -> Iterator[bytes]:
    """Requests in turn; the clock starts with the first."""
    end = time.perf_counter() + seconds
    for request in cycle(requests):
        if time.perf_counter() >= end:
            return
        yield request


async def _closed_loop(
    url: str,
    requests: Iterable[bytes],
    connections: int,
    on_answer: OnAnswer | None = None,
    window: tuple[float, float] = (0.0, math.inf),
) -> LoadResult:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    result = LoadResult()
    queue = iter(requests)
    clock = _Clock(window)
    clients = [_Client(queue, result, loop.create_future(), on_answer, clock) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(partial(_itself, client), parts.hostname, parts.port)
    clock.start = start = time.perf_counter()
    for client in clients:
        client.send_next()
    await asyncio.gather(*(client.done for client in clients))
    result.seconds = time.perf_counter() - start
    return result


def _itself(client: "_Client") -> "_Client":
    return client


@dataclass
class _Clock:
    """When an answer counts."""

    window: tuple[float, float]
    """From and to, in seconds since the start."""
    start: float = 0.0

    def counts(self, now: float) -> bool:
        """Whether an answer that comes now does."""
        return self.window[0] <= now - self.start <= self.window[1]


class _Client(asyncio.Protocol):
    """One connection; knows answers with a content-length and chunked ones."""

    def __init__(
        self,
        queue: Iterator[bytes],
        result: LoadResult,
        done: "asyncio.Future[None]",
        on_answer: OnAnswer | None,
        clock: _Clock,
    ) -> None:
        self._queue = queue
        self._request = b""
        self._on_answer = on_answer
        self._clock = clock
        self._result = result
        self.done = done
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self) -> None:
        """Send the next request of all, or end."""
        request = next(self._queue, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._request = request
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take in an answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or not _is_whole(head.lower(), body):
            return
        now = time.perf_counter()
        status = int(self._received[9:12])
        self._result.statuses[status] += 1
        if self._clock.counts(now):
            self._result.latencies_ms.append(1000 * (now - self._sent_at))
        elif status == 200:
            self._result.outside += 1
        if status != 200 and not self._result.first_failure:
            self._result.first_failure = body.decode(errors="replace")
        if self._on_answer is not None:
            self._on_answer(self._request, head, body)
        self._received = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up in the middle spoils the measurement."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


def _is_whole(head: bytes, body: bytes) -> bool:
    """Whether all of the body is there; chunks hold JSON, in which the end of the last chunk cannot occur."""
    place = head.find(_LENGTH)
    if place >= 0:
        return len(body) >= int(head[place + len(_LENGTH) :].split(b"\r\n", 1)[0])
    if _CHUNKED not in head:
        raise ConnectionError("an answer has neither a length nor chunks")
    return body == _LAST_CHUNK or body.endswith(b"\r\n" + _LAST_CHUNK)
