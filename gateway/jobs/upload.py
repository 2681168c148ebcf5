"""A table goes from a request to the disk, piece by piece, and is counted on its way."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable
from pathlib import Path
from typing import BinaryIO

from gateway.errors import BodyTooLongError, JobsFullError
from gateway.jobs.store import JobStore

WRITTEN_AT_ONCE = 2**18
"""Bytes; the body comes in pieces of 64 KiB, and each write is a change of thread."""
LOOKED_EVERY = 2**24
"""Bytes after which it is looked whether there is still room: others may be writing."""
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class RowCount:
    """Counts rows by line ends: of CSV those outside of quotation marks, of JSON Lines those that end a line."""

    def __init__(self, is_delimited: bool) -> None:
        self._is_delimited = is_delimited
        self._quoted = False
        self._lines = 0
        self._is_line_begun = False
        self._begun = False
        self._can_count = True

    def feed(self, piece: bytes) -> None:
        """Count on."""
        if not piece:
            return
        if not self._begun:
            self._begun = True
            self._can_count = piece[:2] not in (_GZIP, *_UTF_16)
        if not self._can_count:
            return
        if self._is_delimited:
            for place, part in enumerate(piece.split(b'"')):
                if place:
                    self._quoted = not self._quoted
                if not self._quoted:
                    self._lines += part.count(b"\n")
        else:
            self._lines += piece.count(b"\n")
        self._is_line_begun = not piece.endswith(b"\n")

    def total(self) -> int | None:
        """Rows so far, without the header of CSV; None of what is packed, or of a wide encoding."""
        if not self._can_count:
            return None
        return max(0, self._lines + self._is_line_begun - self._is_delimited)


class TableFile:
    """A file that a table is written to, from an event loop."""

    def __init__(self, path: Path, store: JobStore, most_bytes: int, is_delimited: bool) -> None:
        """`most_bytes` is the size past which it is refused."""
        self._path = path
        self._store = store
        self._most_bytes = most_bytes
        self._digest = hashlib.sha256()
        self.rows = RowCount(is_delimited)
        self.size = 0
        self._looked_at = 0

    @property
    def digest(self) -> str:
        """SHA-256 of what was written."""
        return self._digest.hexdigest()

    async def take(self, pieces: AsyncIterable[bytes]) -> None:
        """Write all pieces, and have them on the disk.

        Raises:
            BodyTooLongError: there are more bytes than are taken.
            JobsFullError: there is no room for them.
        """
        try:
            with self._path.open("wb") as stream:
                waiting = bytearray()
                async for piece in pieces:
                    waiting += piece
                    if len(waiting) >= WRITTEN_AT_ONCE:
                        await asyncio.to_thread(self.write, stream, bytes(waiting))
                        waiting.clear()
                await asyncio.to_thread(self._end, stream, bytes(waiting))
        except OSError as error:
            raise JobsFullError(f"The table cannot be kept: {error.strerror or 'the disk fails'}.") from None

    def write(self, stream: BinaryIO, piece: bytes) -> None:
        """Write one piece; on a thread."""
        self.size += len(piece)
        if self.size > self._most_bytes:
            raise BodyTooLongError(f"The table is longer than {self._most_bytes} bytes (JOBS_MAX_BYTES): send parts.")
        if self.size - self._looked_at > LOOKED_EVERY:
            self._looked_at = self.size
            self._store.refuse_more(0)
        stream.write(piece)
        self._digest.update(piece)
        self.rows.feed(piece)

    def _end(self, stream: BinaryIO, piece: bytes) -> None:
        self.write(stream, piece)
        stream.flush()
        os.fsync(stream.fileno())
        self._store.refuse_more(0)
