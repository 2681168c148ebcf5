"""Requests at a fixed mean rate, whether answers come or not: callers of a service do not wait for each other.

In a closed loop a slow answer keeps the next request from being sent, so that a pause shows in few of the latencies
(coordinated omission). Here each request has its moment beforehand, and its latency counts from that moment on.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import uvloop

from benchmarks.measure.http_load import LoadResult

SEED = 0
MOST_CONNECTIONS = 2048
GIVE_UP_S = 30.0
"""After the last request: what has not been answered by then counts as unanswered, status 0."""


def open_loop(url: str, requests: Sequence[bytes], rate: float, seconds: float) -> LoadResult:
    """Send `rate` requests a second on average, at random moments (a Poisson process), for `seconds`.

    Requests are taken in turn. Each goes over a connection that is free, or over a new one. All are waited for, and
    their latencies count; for the answers a second only those that came within `seconds`.
    """
    return uvloop.run(_open_loop(url, requests, rate, seconds))


async def _open_loop(url: str, requests: Sequence[bytes], rate: float, seconds: float) -> LoadResult:
    pool = _Pool(url)
    result = LoadResult(seconds=seconds)
    chance = random.Random(SEED)
    tasks: list[asyncio.Task[None]] = []
    start = time.perf_counter()
    due = start + chance.expovariate(rate)
    while due < start + seconds:
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        request = requests[len(tasks) % len(requests)]
        tasks.append(asyncio.create_task(_one(pool, request, due, start + seconds, result)))
        due += chance.expovariate(rate)
    await asyncio.wait(tasks, timeout=GIVE_UP_S)
    for task in tasks:
        task.cancel()
    pool.close()
    result.statuses[0] += len(tasks) - result.statuses.total()
    return result


async def _one(pool: "_Pool", request: bytes, due: float, end: float, result: LoadResult) -> None:
    try:
        status, body = await pool.exchange(request)
    except (OSError, asyncio.IncompleteReadError):
        return  # counted as unanswered
    result.statuses[status] += 1
    if status == 200:
        now = time.perf_counter()
        result.latencies_ms.append(1000 * (now - due))
        result.outside += now > end  # a backlog that is worked off when no more requests come is no throughput
    elif not result.first_failure:
        result.first_failure = body.decode(errors="replace")


class _Pool:
    """Connections that are free; as many more as are needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        async with self._places:
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                body = await reader.readexactly(int(length))
            except BaseException:
                writer.transport.abort()
                raise
            self._free.append((reader, writer))
            return int(head[9:12]), body

    def close(self) -> None:
        """Close what is free."""
        for _, writer in self._free:
            writer.transport.abort()
