"""A load balancer as Kubernetes' Services and proxies are one: it deals out connections, or requests, in turn."""

import asyncio
import contextlib
import itertools
import re
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)


class Balancer:
    """Listens on a port of its own, on a thread of its own, until its block ends."""

    def __init__(self, ports: Sequence[int], each_request: bool = False) -> None:
        self.port = 0
        self.dealt: Counter[int] = Counter()
        """Connections, or requests, that went to each port."""
        self._turns = itertools.cycle(ports)
        self._each_request = each_request
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _next(self) -> int:
        port = next(self._turns)
        self.dealt[port] += 1
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self._each_request:
                await self._deal_requests(reader, writer)
            else:
                there, onward = await asyncio.open_connection("127.0.0.1", self._next())
                await asyncio.gather(_copy(reader, onward), _copy(there, writer))
        writer.close()

    async def _deal_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await _message(reader)
            there, onward = await asyncio.open_connection("127.0.0.1", self._next())
            onward.write(request)
            writer.write(await _message(there))
            onward.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A request or answer, whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)
