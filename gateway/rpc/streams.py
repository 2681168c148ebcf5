"""Which calls may stay open as long as their callers like? A few: watches of health, and reflection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from gateway.errors import DeadlineExceededError, GatewayError, OverloadedError
from gateway.rpc.calls import Calls, abort
from gateway.rpc.codes import CODES

MOST_STREAMS = 100
"""Open at once in one gateway process; nobody needs a key for them."""


class Streams:
    """The open streams of one process."""

    def __init__(self, calls: Calls, send_timeout_s: float) -> None:
        """Take what reads messages, and how long a caller may leave one unread."""
        self._calls = calls
        self._send_timeout_s = send_timeout_s
        self._open = 0
        self.stopping = asyncio.Event()
        """Set when no stream may stay open any more."""

    def handler(self, serve: Callable[[Any], Awaitable[None]]) -> Any:
        """What gRPC's server calls; `serve` gets the call's context, and the stream ends with it."""

        async def handle(_: Any, context: Any) -> None:
            if self._open >= MOST_STREAMS:
                error = f"{MOST_STREAMS} streams of health checks and reflection are open; try again later."
                await abort(context, CODES[OverloadedError], error)
            self._open += 1
            try:
                await serve(context)
            except GatewayError as error:
                await abort(context, CODES[type(error)], str(error))
            finally:
                self._open -= 1

        return grpc.stream_stream_rpc_method_handler(handle)

    async def next_message(self, context: Any, kind: Any) -> Any | None:
        """What the caller sends next; None after the last message, and when the stream has to end.

        Raises:
            DeadlineExceededError, MalformedBodyError: see `Calls.message`.
        """
        stopped = asyncio.ensure_future(self.stopping.wait())
        message = asyncio.ensure_future(self._calls.message(context, kind))
        try:
            await asyncio.wait({stopped, message}, return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else None
        finally:
            stopped.cancel()
            message.cancel()

    async def send(self, context: Any, message: Any) -> None:
        """Send it. Raises DeadlineExceededError: the caller does not read, so that it would be held for ever."""
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await context.write(message.SerializeToString())
        except TimeoutError:
            raise DeadlineExceededError("The last message was not read in time.") from None

    async def stopped_within(self, seconds: float) -> bool:
        """Wait so long, or until they have to end; whether they have to."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()
