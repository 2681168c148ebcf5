"""Where feedback is kept: files of JSON Lines that are only appended to, each held by one worker at a time.

A line goes into the file by one call, and only the worker that holds the file's lock writes to it, so that lines of
several workers and gateways never mix. A file that nobody holds is gone on with, whoever began it.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import FeedbackFullError
from repository.disk import flush
from repository.feedback import PREFIX, SUFFIX

MB = 1_000_000
LARGEST_FILE_BYTES = 16 * MB
FEWEST_FILES = 8
"""A full folder has at least so many, so that single ones can be moved away."""
TRIES = 100


class FeedbackFiles:
    """The files of one model in a folder, as one worker writes them. Every method blocks."""

    def __init__(self, folder: Path, most_bytes: int, fsync: bool) -> None:
        """Take the folder, which is made if it is not there.

        Args:
            folder: of the files.
            most_bytes: size of all of them together, whoever wrote them, past which nothing more is taken.
            fsync: whether a line is on the disk before it is confirmed.

        Raises:
            OSError: the folder cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most_bytes = most_bytes
        self._largest = max(1, min(LARGEST_FILE_BYTES, most_bytes // FEWEST_FILES))
        self._fsync = fsync
        self._lock = threading.Lock()
        self._file: _HeldFile | None = None

    def append(self, line: bytes) -> None:
        """Add a line, its end included.

        Raises:
            FeedbackFullError: the files would be larger than they may be.
            OSError: the disk is full or gone.
        """
        with self._lock:
            if self._whole_size() + len(line) > self._most_bytes:
                raise FeedbackFullError(
                    f"There are {self._most_bytes // MB} MB of feedback (FEEDBACK_MAX_MB): train on it and move it "
                    "away, or allow more."
                )
            if self._file is not None and (self._file.size() >= self._largest or not self._file.is_there()):
                self._let_go()
            if self._file is None:
                self._file = self._hold_one()
            self._file.write(line)
            if self._fsync:
                os.fsync(self._file.descriptor)

    def let_go(self) -> None:
        """Hold no file any more: the next line goes into another, or the same."""
        with self._lock:
            self._let_go()

    @contextlib.contextmanager
    def nobodys(self) -> Iterator[list[Path]]:
        """The files that no worker holds; they are held until this ends, so that they may be taken away."""
        held = [file for path in self._paths() if (file := _HeldFile.of(path)) is not None]
        try:
            yield [file.path for file in held]
        finally:
            for file in held:
                file.close()

    def _whole_size(self) -> int:
        whole = 0
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):  # it was just brought away
                whole += path.stat().st_size
        return whole

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}"))

    def _hold_one(self) -> "_HeldFile":
        """A file of this worker alone: one that nobody holds, or a new one. Raises OSError: none can be had."""
        for _ in range(TRIES):
            for path in reversed(self._paths()):
                if (file := _HeldFile.of(path)) is not None:
                    if file.size() < self._largest:
                        return file
                    file.close()
            # Empty, it is nobody's for a moment; if another worker takes it, there is a next try.
            self._create()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(self._folder))

    def _create(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self._folder / f"{PREFIX}{stamp}-{secrets.token_hex(4)}{SUFFIX}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        if self._fsync:
            flush(self._folder)

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class _HeldFile:
    """A file that is open to be appended to, by whoever has its lock."""

    path: Path
    descriptor: int

    @classmethod
    def of(cls, path: Path) -> "_HeldFile | None":
        """Take the lock; None if another worker has it, or has taken the file away."""
        try:
            file = cls(path, os.open(path, os.O_RDWR | os.O_APPEND))
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if not file.is_there():
            file.close()
            return None
        file.end_last_line()
        return file

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def is_there(self) -> bool:
        """Whether it is still where it was: somebody may have moved it away."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def write(self, line: bytes) -> None:
        """Raise OSError, and leave no half line, if the disk is full."""
        end = self.size()
        try:
            if os.write(self.descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            os.ftruncate(self.descriptor, end)
            raise

    def end_last_line(self) -> None:
        """A machine that stopped may have left half a line; it must not become part of the next."""
        end = self.size()
        if end and os.pread(self.descriptor, 1, end - 1) != b"\n":
            self.write(b"\n")

    def close(self) -> None:
        os.close(self.descriptor)
