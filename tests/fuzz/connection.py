"""A connection to the gateway's HTTP protocol without a network: bytes go in, and what is answered is kept."""

import asyncio
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.connections import ConnectionLimits, Connections
from gateway.metrics import Metrics
from gateway.protocol import GatewayProtocol

LIMITS = ConnectionLimits(head_s=60, body_s=60, send_s=60, keep_alive_s=60, connections=100)
MOST_TURNS = 2_000
"""Of the event loop until everything that was asked is answered."""
STILL_TURNS = 6
"""After so many without a change, an application waits for more of its request."""


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Each connection brings its own application."""


_CONFIG = Config(_nobody, lifespan="off", access_log=False, log_config=None, server_header=False, date_header=False)
_loop = asyncio.new_event_loop()
_connections = Connections(LIMITS, Metrics())


def run(work: Any) -> Any:
    """Run a coroutine on the one event loop that all inputs share."""
    return _loop.run_until_complete(work)


class Pipe(asyncio.Transport):
    """The server's end of a connection."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.sent = bytearray()
        self.is_paused = False
        self._closing = False
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: Any) -> None:
        if not self._closing:
            self.sent += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            _loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class _Timers:
    """The event loop, whose timers all end with the connection."""

    def __init__(self) -> None:
        self.handles: list[asyncio.TimerHandle] = []
        self.time = _loop.time
        self.create_task = _loop.create_task

    def call_later(self, *arguments: Any) -> asyncio.TimerHandle:
        handle = _loop.call_later(*arguments)
        self.handles.append(handle)
        return handle


@dataclass
class Outcome:
    """What became of a connection."""

    answered: bytes
    is_closed: bool
    faults: list[Any] = field(default_factory=list)
    """What reached the event loop's handler: exceptions that nobody took."""


def pieces(data: bytes) -> list[bytes]:
    """The data in some pieces, always the same ones for the same data."""
    dice = random.Random(zlib.crc32(data))
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((1, 2, 3, 7, 20))))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if begin < end]


async def converse(app: ASGIApp, parts: Sequence[bytes]) -> Outcome:
    """Send the parts, each when what the one before asked is answered, then no more; wait for the last answer."""
    timers: Any = _Timers()
    protocol = GatewayProtocol(_CONFIG, ServerState(), {"connections": _connections}, timers)
    protocol.app = app
    pipe = Pipe(protocol)
    found = Outcome(b"", False)
    _loop.set_exception_handler(lambda _, context: found.faults.append(context))
    try:
        protocol.connection_made(pipe)
        for part in parts:
            await _answered(protocol, pipe)
            if pipe.is_closing():
                break
            protocol.data_received(part)
        await _answered(protocol, pipe)
        if not pipe.is_closing() and not protocol.eof_received():
            pipe.close()
        await _answered(protocol, pipe)
        found.answered, found.is_closed = bytes(pipe.sent), pipe.is_closing()
        pipe.close()
        await asyncio.sleep(0)
    finally:
        for handle in timers.handles:
            handle.cancel()
        for task in tuple(protocol.tasks):
            task.cancel()
        await asyncio.sleep(0)
    return found


async def _answered(protocol: GatewayProtocol, pipe: Pipe) -> None:
    """Wait until nothing moves: every request that is whole is answered, and the next bytes are wanted."""
    still = 0
    for _ in range(MOST_TURNS):
        before = len(pipe.sent), len(protocol.tasks)
        await asyncio.sleep(0)
        still = still + 1 if before == (len(pipe.sent), len(protocol.tasks)) else 0
        if still >= (STILL_TURNS if protocol.tasks else 1):
            break
    assert pipe.is_closing() or not pipe.is_paused or protocol.tasks, "reads no more, and has nothing to answer"
