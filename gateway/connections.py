"""Which connections may stay open: none that takes too long, and never so many that a new caller finds no descriptor.

One walk over all connections every second or so keeps the limits, in place of a timer for each request. When there is
no more room, the caller who keeps us waiting longest goes: first of those who never sent a whole request, then of those
who rest between two. Callers who wait for their answer keep their places.
"""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from gateway.metrics import Metrics
from gateway.settings import GatewaySettings

OWN_DESCRIPTORS = 64
"""Kept for what is no caller: connections to Triton, files of versions, the log."""
MOST_CONNECTIONS = 10_000
"""By default, however many descriptors there are: an idle connection takes some 8 kB."""
ROOM_FOR_HEALTH = 16
"""Connections past the bound, on which /health alone is answered, when everybody else waits for an answer."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How long and how many."""

    head_s: float
    """From the first byte of a request to the end of its headers."""
    body_s: float
    """From the end of the headers to the end of the body."""
    send_s: float
    """While a caller does not read what was sent."""
    keep_alive_s: float
    """Between an answer and the next request."""
    connections: int
    """Open at once."""

    @classmethod
    def of(cls, settings: GatewaySettings) -> "ConnectionLimits":
        """As set; the number of connections from the limit on descriptors where it is not set."""
        return cls(
            head_s=settings.head_timeout_seconds,
            body_s=settings.body_timeout_seconds,
            send_s=settings.send_timeout_seconds,
            keep_alive_s=settings.keep_alive_seconds,
            connections=settings.max_connections or _room() // (1 if settings.grpc_port is None else 2),
        )


def _room() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    own = min(OWN_DESCRIPTORS + ROOM_FOR_HEALTH, descriptors // 2)
    return min(MOST_CONNECTIONS, descriptors - own)


class Connection(Protocol):
    """What is asked of a connection here."""

    def check(self, now: float, limits: ConnectionLimits) -> None:
        """End it if it takes too long; `now` is the event loop's time."""

    def make_room(self) -> None:
        """End it; it has no whole request that waits for an answer."""

    def answer_health_alone(self) -> None:
        """Refuse every request but those of /health."""

    def refuse_connection(self) -> None:
        """Refuse it before it has said a word."""


class Connections:
    """The open connections of one process."""

    def __init__(self, limits: ConnectionLimits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._open: set[Connection] = set()
        # Both in the order in which they began to keep us waiting; dictionaries, since sets have no order.
        self._strangers: dict[Connection, None] = {}
        self._resting: dict[Connection, None] = {}

    def opened(self, connection: Connection) -> None:
        """Take it in, and end another one if there are too many now."""
        excess = len(self._open) + 1 - self.limits.connections
        self._open.add(connection)
        if excess > 0:
            longest = next(iter(self._strangers), None) or next(iter(self._resting), None)
            if longest is not None:
                self._forget(longest)
                longest.make_room()
            elif excess <= ROOM_FOR_HEALTH:
                connection.answer_health_alone()
            else:
                connection.refuse_connection()
                return
        self._strangers[connection] = None

    def waits(self, connection: Connection) -> None:
        """It sent a whole request."""
        self._forget(connection)

    def rests(self, connection: Connection) -> None:
        """Its last request is answered."""
        self._resting[connection] = None

    def lost(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        if self._strangers.pop(connection, self) is self:
            self._resting.pop(connection, None)

    async def watch(self) -> None:
        """Keep the limits on time until cancelled."""
        limits = self.limits
        shortest = min(limits.head_s, limits.body_s, limits.send_s, limits.keep_alive_s)
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            for connection in tuple(self._open):
                connection.check(clock(), limits)


@contextlib.asynccontextmanager
async def watched_connections(settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[Connections]:
    """The connections, while their limits are kept."""
    connections = Connections(ConnectionLimits.of(settings), metrics)
    watch = asyncio.create_task(connections.watch())
    try:
        yield connections
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
