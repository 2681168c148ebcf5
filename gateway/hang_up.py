"""Whether a caller who stopped sending still reads: `nc -N` does, one who closed the connection does not.

Both look the same from here, until something is sent: only the second one's machine answers that with a reset. So the
first byte of the answer, which is the same for every answer, goes out early.
"""

import select
from typing import Any

FIRST_BYTE = b"H"
"""Of `HTTP/1.1`."""


class BegunTransport:
    """A transport for the rest of an answer whose first byte is sent."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._begun = True

    def write(self, data: bytes) -> None:
        """Send on."""
        if self._begun:
            data = data.removeprefix(FIRST_BYTE)
            self._begun = False
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return bool(self._transport.is_closing())

    def close(self) -> None:
        """Close when all is sent."""
        self._transport.close()


def was_reset(transport: Any) -> bool:
    """Whether the caller's machine told that nobody reads there; asyncio does not look where all was received."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))  # errors and hang-ups are told unasked
