"""Over which connection does a request go to Triton? A kept-alive one that served the last, or a fresh one.

One name may stand for several Tritons: a name with several addresses, or a load balancer that deals out connections or
requests. So a fresh connection may lead elsewhere, and none is kept for ever, or a Triton that came later would have
nothing to do.
"""

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Callable

from gateway.triton_wire import Connection, WireAnswer

LIFETIME_S = 60.0
CONNECT_S = 2.0
"""How long one of several addresses may take to answer before the next one is tried."""

RESOLVED_FOR_S = 1.0


class ConnectionPool:
    """Kept-alive connections to one name, as many as there are exchanges at a time."""

    def __init__(self, host: str, port: int, serves: Callable[[WireAnswer], bool]) -> None:
        """`serves` tells whether the server that gave this answer should be asked again."""
        self._host = host
        self._port = port
        self._serves = serves
        self._idle: list[Connection] = []
        self._addresses: list[str] = []
        self._resolved_at = -RESOLVED_FOR_S
        self._turn = random.randrange(1000)  # not every gateway begins with the same one

    async def exchange(
        self, request: bytes, fresh: bool = False, told: Callable[[str], None] | None = None
    ) -> WireAnswer:
        """Send one request and wait for its answer; cancelling closes the connection.

        The request may be sent twice, if a connection that was kept alive turns out to be closed.

        Args:
            request: the whole request.
            fresh: use a new connection, to the next address if the name has several.
            told: hears why the request is sent twice, if it is.

        Raises:
            OSError: the server cannot be reached or closed the connection.
        """
        if not fresh and (connection := await self._kept()) is not None:
            try:
                return await self._use(connection, request)
            except ConnectionError:
                # The server may have closed it a moment ago; nothing says so but the failure.
                if told is not None:
                    told("Triton had closed the connection that was kept")
        return await self._use(await self._connect(), request)

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def addresses(self) -> list[str]:
        """What the host's name stands for now.

        Raises:
            OSError: the name cannot be resolved.
        """
        try:
            return [str(ipaddress.ip_address(self._host))]
        except ValueError:
            pass
        if time.monotonic() - self._resolved_at >= RESOLVED_FOR_S:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
            self._resolved_at = time.monotonic()
        return self._addresses

    async def _kept(self) -> Connection | None:
        """The connection that was used last, or a new one in its place if that one is old."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open():
                continue
            if time.monotonic() > connection.retire_at:
                try:
                    replacement = await self._connect()
                except OSError:
                    return connection  # old, but the only one
                connection.close()
                return replacement
            return connection
        return None

    async def _connect(self) -> Connection:
        """A connection to the next address in turn, or to one after it."""
        addresses = await self.addresses()
        self._turn += 1
        errors: list[OSError] = []
        for place in range(len(addresses)):
            address = addresses[(self._turn + place) % len(addresses)]
            is_last = place == len(addresses) - 1
            try:
                async with asyncio.timeout(None if is_last else CONNECT_S):
                    _, connection = await asyncio.get_running_loop().create_connection(Connection, address, self._port)
            except OSError as error:  # TimeoutError is one
                errors.append(error)
                continue
            connection.retire_at = time.monotonic() + LIFETIME_S * random.uniform(0.75, 1.25)
            return connection
        raise errors[-1]

    async def _use(self, connection: Connection, request: bytes) -> WireAnswer:
        try:
            answer = await connection.exchange(request)
        except BaseException:
            connection.close()  # half an answer may still come: no one else must read it as theirs
            raise
        if not self._serves(answer):
            connection.close()
        elif connection.is_open():
            self._idle.append(connection)
        return answer
