"""Rows that go to standard output: as soon as they are scored, and once."""

import os
from pathlib import Path
from typing import Any

from gateway.batch.errors import BatchError
from gateway.batch.journal import State

_STDOUT = 1


class OutputStream:
    """Takes what a `Workplace` takes; there is nothing to go on with."""

    def __init__(self, skipped: Path | None) -> None:
        """`skipped` is the side file; None where a row that can't be scored ends the run."""
        self._skipped = skipped.open("wb") if skipped else None
        self.state: State | None = None

    def begin(self, state: State, head: bytes) -> None:
        """Write what stands before the first row."""
        self.commit(head, b"", state)

    def commit(self, rows: bytes, skipped: bytes, state: State) -> None:
        """Write. Raises BatchError: nobody reads any more, or the disk is full."""
        try:
            view = memoryview(rows)
            while view:
                view = view[os.write(_STDOUT, view) :]
            if skipped and self._skipped:
                self._skipped.write(skipped)
                self._skipped.flush()
        except OSError as error:
            raise BatchError(f"standard output takes no more: {error.strerror}.") from None
        self.state = state

    def finish(self, convert: Any) -> None:
        """All is written."""
        assert convert is None
        if self._skipped:
            self._skipped.close()
