"""HTTP/1.1 as uvicorn speaks it, with a bounded head, errors in JSON, letters in a URL read as UTF-8, and no work for a
caller who hung up.
"""

import asyncio
import json
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 524_288
"""Most bytes of request line and headers; a sentence in a URL takes up to three bytes for one of its own."""

LINGER_S = 5.0
LINGER_BYTES = 64 * 1024 * 1024


_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class GatewayProtocol(HttpToolsProtocol):
    """Refuses an over-long or malformed request with one JSON sentence.

    The rest of such a request is read and thrown away for a while: closing at once would make the kernel reset the
    connection, and the caller, who is still sending, would never see the answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._in_head = self._in_request_line = True
        self._refused = False
        self._running: asyncio.Task[Any] | None = None

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request, or throw them away after a refusal."""
        self._head_bytes += len(data)
        if self._refused:
            if self._head_bytes > LINGER_BYTES:
                self.transport.close()
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(
                "414 URI Too Long",
                f"The request line and headers are longer than {MAX_HEAD_BYTES} bytes: send the sentence by POST.",
            )
            return
        super().data_received(self._escaped(data))

    def _escaped(self, data: bytes) -> bytes:
        """The data with all in the request line escaped that is not ASCII: curl sends letters as they are typed."""
        if not self._in_request_line:
            return data
        line, newline, rest = data.partition(b"\n")
        self._in_request_line = not newline
        if line.isascii():
            return data
        return _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + newline + rest

    def on_headers_complete(self) -> None:
        """Start answering. httptools' own `parse_url` cuts a URL at 64 KiB silently, so only the path goes there."""
        self._in_head = False
        url, _, query = self.url.partition(b"?")
        self.url = url
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]  # the task that reads it starts after this call

    def on_message_complete(self) -> None:
        """The request is whole: the next byte begins another head."""
        super().on_message_complete()
        self._in_head = self._in_request_line = True
        self._head_bytes = 0

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        async def remembered(scope: Any, receive: Any, send: Any) -> None:
            self._running = asyncio.current_task()
            await app(scope, receive, send)

        super()._start_asgi_task(cycle, remembered)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller who hung up needs no answer: its sentences give up their places."""
        abandoned = self.cycle is not None and not self.cycle.response_complete
        super().connection_lost(exc)
        if abandoned and self._running is not None:
            self._running.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that could not be parsed."""
        self._refuse("400 Bad Request", msg)

    def _refuse(self, status: str, error: str) -> None:
        self._refused = True
        body = json.dumps({"error": error}).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)
