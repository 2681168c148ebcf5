"""Which number of a model was used last, so that none is given out twice, and who may give out the next one?

Writers exclude each other by a lock on `.versions.lock`, in which programs up to 0.1.0 wrote the last number as well.
Writing it makes Triton load every version again (see `repository.staging`), so the number is in the file `00` now:
Triton takes that name neither for a version nor for a reason to load one. Locking changes nothing that Triton sees.

An older program may publish into the same folder, and reads `.versions.lock`. So that it repeats no number of ours, a
number further on stands there, written once for a thousand versions: an older program goes on from that one, and this
one from the number which that leaves there. Both numbers are in `00`, by which ours is told from one of theirs.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from repository.names import is_version_name
from repository.staging import write_whole

LOCK_FILE = ".versions.lock"
RECORD_FILE = "00"
AHEAD = 1000
"""How far the number for older programs is ahead. When it is reached, Triton loads every version once more."""
_LAST = 10**18 - 1


class _Record(NamedTuple):
    used: int
    """The last number."""
    ahead: int
    """What was left to older programs."""


class UsedNumbers:
    """The numbers of the model in a folder."""

    def __init__(self, model_folder: Path) -> None:
        self._folder = model_folder
        self._path = model_folder / RECORD_FILE
        self._lock_path = model_folder / LOCK_FILE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the one writer's place. Raises OSError: the folder is missing or cannot be written."""
        with self._lock_path.open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not lock.tell():  # just made, usually before there is a version that Triton could load again
                self.remember(0)
            yield

    def last(self) -> int:
        """The highest number ever used, as far as it was remembered; 0 if none was."""
        record, left = self._read(), self._left()
        return record.used if left == record.ahead else max(record.used, left)

    def remember(self, number: int) -> None:
        """Count a number, and all below it, as used; the caller holds the lock."""
        record, left = self._read(), self._left()
        used = max(number, self.last())
        is_ours = left == record.ahead and used < record.ahead
        ahead = record.ahead if is_ours else min(used + AHEAD, _LAST)
        if record != (used, ahead) or not self._path.exists():
            write_whole(self._path, f"{used} {ahead}\n", self._folder)
        if left != ahead:
            self._lock_path.write_text(f"{ahead}\n")

    def _read(self) -> _Record:
        try:
            words = self._path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            words = []
        if len(words) == 2 and all(word.isascii() and word.isdecimal() for word in words):
            return _Record(int(words[0]), int(words[1]))
        return _Record(0, 0)

    def _left(self) -> int:
        text = self._lock_path.read_text(encoding="utf-8").strip() if self._lock_path.exists() else ""
        return int(text) if is_version_name(text) else 0
