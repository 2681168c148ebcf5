"""HTTP/1.1 as uvicorn speaks it, except that a request it cannot read gets a JSON answer that says why."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 262_144
"""Most bytes of request line and headers; a sentence in a URL takes up to three bytes for one of its own."""

LINGER_S = 5.0
LINGER_BYTES = 64 * 1024 * 1024


class GatewayProtocol(H11Protocol):
    """Refuses an over-long or malformed request with one JSON sentence.

    The rest of the request is read and thrown away for a while: closing at once would make the kernel reset the
    connection, and the caller, who is still sending, would never see the answer.
    """

    _refused = False
    _discarded_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request, or throw them away after a refusal."""
        if not self._refused:
            super().data_received(data)
            return
        self._discarded_bytes += len(data)
        if self._discarded_bytes > LINGER_BYTES:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that h11 could not parse."""
        self._refused = True
        too_long = len(self.conn.trailing_data[0]) > MAX_HEAD_BYTES
        status, error = b"400 Bad Request", msg
        if too_long:
            status = b"414 URI Too Long"
            error = f"The request line and headers are longer than {MAX_HEAD_BYTES} bytes: send a shorter sentence."
        body = json.dumps({"error": error}).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)


def server_options() -> dict[str, Any]:
    """Options for `uvicorn.Config` that belong to this protocol."""
    return {"http": GatewayProtocol, "h11_max_incomplete_event_size": MAX_HEAD_BYTES}
