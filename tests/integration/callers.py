"""Many callers at a time, each on a connection of its own, that cost little processor time."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True)
class Reply:
    """An answer and when it came; status 0 if the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    at: float
    """When it came, on the monotonic clock."""


@dataclass
class Load:
    """What the callers got from `start` on, on the monotonic clock."""

    start: float = field(default_factory=time.monotonic)
    replies: list[Reply] = field(default_factory=list)

    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(reply.status for reply in self.replies)

    def slowest(self, status: int, share: float = 1.0) -> float:
        """Seconds that this share of the answers with this status did not exceed; 0 if there are none."""
        times = sorted(reply.seconds for reply in self.replies if reply.status == status)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def per_second(self, seconds: float) -> float:
        """Sentences answered a second, in the first `seconds`: those who were told to come again may stay longer."""
        return sum(reply.status == 200 and reply.at < self.start + seconds for reply in self.replies) / seconds


class Caller:
    """One connection; opens another one where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, sentence: str) -> Reply:
        """GET /classify."""
        start = time.monotonic()
        try:
            await self.send(sentence)
            status, headers, body = await self._receive()
        except (OSError, asyncio.IncompleteReadError):
            self.hang_up()
            status, headers, body = 0, {}, b""
        end = time.monotonic()
        return Reply(status, headers, body, end - start, end)

    async def send(self, sentence: str) -> None:
        """Ask without waiting for the answer."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"GET /classify?sentence={quote(sentence)} HTTP/1.1\r\nhost: gateway\r\n\r\n".encode())

    def hang_up(self) -> None:
        """Close the connection at once."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def _receive(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        body = await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.hang_up()
        return int(head[0].split()[1]), headers, body


async def ask_at_once(port: int, sentences: Sequence[str]) -> Load:
    """Ask all of them at the same moment; the replies are in the order of the sentences."""
    callers = [Caller(port) for _ in sentences]
    load = Load()
    try:
        asked = (caller.ask(sentence) for caller, sentence in zip(callers, sentences, strict=True))
        load.replies += await asyncio.gather(*asked)
        return load
    finally:
        for caller in callers:
            caller.hang_up()


async def keep_asking(port: int, sentence: str, callers: int, stop: Callable[[], bool]) -> Load:
    """Every caller asks anew when it has its answer, or after as many seconds as Retry-After says, until `stop()`."""
    load = Load()

    async def one() -> None:
        caller = Caller(port)
        while not stop():
            reply = await caller.ask(sentence)
            load.replies.append(reply)
            if reply.status != 200:
                await asyncio.sleep(float(reply.headers.get("retry-after", 0.1)))
        caller.hang_up()

    await asyncio.gather(*(one() for _ in range(callers)))
    return load


def for_seconds(seconds: float) -> Callable[[], bool]:
    """A `stop` for `keep_asking` that says so after some time."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
