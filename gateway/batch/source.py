"""How is a large file read from any place on? As bytes of UTF-8, line by line, each place counted in those bytes."""

import codecs
import gzip
import hashlib
import io
import re
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from gateway.batch.errors import UsageError
from gateway.batch.formats import STREAM

LONGEST_LINE_BYTES = 2**24
"""Most of a line that is held in memory; nobody's text is longer, but a file that is no table may be one line."""
HEAD_BYTES = 2**16
_COPIED = 2**20
_UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file raises that is not there whole, packed or not."""
_GZIP_MAGIC = b"\x1f\x8b"
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Line breaks of old Macs, which `readline` does not know.
_LONE_RETURN = re.compile(rb"(?<=\r)(?!\n)")


class Source:
    """A file, or standard input, unpacked and in UTF-8. Close it after use."""

    def __init__(self, path: Path, most_bytes: int | None = None) -> None:
        """Raises UsageError: it can't be opened. `most_bytes` of UTF-8 are read of it, unpacked."""
        self.path = path
        self._most_bytes = most_bytes
        try:
            # Not sys.stdin: the thread that waits in it would hold its lock when Python ends, which Python dies of.
            self._raw = open(0, "rb", closefd=False) if path == STREAM else path.open("rb")  # noqa: SIM115
            self._stream = self._opened()
        except IsADirectoryError:
            raise UsageError(f"{path} is a folder; a file is needed.") from None
        except _UNREADABLE as error:
            raise UsageError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
        self.offset = 0
        """Bytes of UTF-8 before what is read next."""
        self._parts: deque[bytes] = deque()
        """Lines that were read from the file already, and not given to anybody yet."""

    def _opened(self) -> BinaryIO:
        stream = self._raw
        self._seeks = self.path != STREAM
        if stream.peek(2)[:2] == _GZIP_MAGIC:
            stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=self._raw)))
            self._seeks = False
        if wide := _WIDE.get(stream.peek(2)[:2]):
            self._seeks = False
            return io.BufferedReader(_Recoded(io.TextIOWrapper(stream, wide, errors="replace", newline="")))
        return stream

    def close(self) -> None:
        """Let go of the file; standard input stays open."""
        if self.path != STREAM:
            self._raw.close()

    @property
    def size(self) -> int | None:
        """Bytes on disk; None for standard input."""
        return self.path.stat().st_size if self.path != STREAM else None

    def progress(self) -> int:
        """How much of `size` has been read."""
        return self._raw.tell() if self.path != STREAM else 0

    def go_to(self, offset: int) -> None:
        """Read on from there, which is not before what has been read; of a packed file, what is skipped is unpacked.

        Raises:
            UsageError: the file can't be read or unpacked.
        """
        try:
            self._skip_to(offset)
        except _UNREADABLE as error:
            raise UsageError(f"{self.path} can't be read whole: {error}.") from None
        self.offset = offset

    def _skip_to(self, offset: int) -> None:
        while self._parts and self.offset < offset:
            self.offset += len(self._parts.popleft())
        if self._parts:
            return
        if self._seeks:
            self._stream.seek(offset)
            return
        left = offset - self.offset
        while left and (skipped := self._stream.read(min(left, _COPIED))):
            left -= len(skipped)

    def lines(self) -> Iterator[bytes]:
        """Yield lines with their ends; byte order marks at the start are left out, and counted.

        Raises:
            UsageError: a line has no end, the file can't be read or unpacked, or is longer than may be read.
        """
        while self._parts or self._read_line():
            part = self._parts.popleft()
            self.offset += len(part)
            if self._most_bytes is not None and self.offset > self._most_bytes:
                raise UsageError(f"{self.path} has more than {self._most_bytes} bytes.")
            yield part

    def _read_line(self) -> bool:
        """Take one line more, or several that old Macs ended; False at the end of the file."""
        try:
            line = self._stream.readline(LONGEST_LINE_BYTES + 1)
        except _UNREADABLE as error:
            raise UsageError(f"{self.path} can't be read whole: {error}.") from None
        if len(line) > LONGEST_LINE_BYTES:
            raise UsageError(f"{self.path} has a line of more than {LONGEST_LINE_BYTES >> 20} MB: is it a table?")
        if self.offset == 0 and line.startswith(codecs.BOM_UTF8):
            self.offset = len(codecs.BOM_UTF8)
            line = line[self.offset :]
        is_several = 0 <= line.find(b"\r") < len(line) - (2 if line.endswith(b"\r\n") else 1)
        self._parts.extend(part for part in (_LONE_RETURN.split(line) if is_several else (line,)) if part)
        return bool(self._parts)


class _Recoded(io.RawIOBase):
    """Text of another encoding as bytes of UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if not self._left:
            self._left = self._text.read(_COPIED).encode()
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def fingerprint(path: Path) -> dict[str, object]:
    """Return what tells whether a file is still the same: size, time of change, digest of its beginning."""
    status = path.stat()
    with path.open("rb") as stream:
        head = hashlib.sha256(stream.read(HEAD_BYTES)).hexdigest()
    return {"size_bytes": status.st_size, "modified_ns": status.st_mtime_ns, "head_sha256": head}
