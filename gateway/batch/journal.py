"""How is no row lost or written twice? What is written counts once the journal says so, and both are on the disk.

All of a run is in a folder beside the output: the rows so far, the rows that were skipped, and `journal.json`, which
says how long both are and where the input goes on. After each chunk the files are synced, then the journal is replaced
by a rename. Whoever goes on cuts the files to what the journal says; when all is there, the output gets its name.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from gateway.batch.errors import BatchError, UsageError
from gateway.batch.rows import Place
from repository.disk import flush

SUFFIX = ".partial"
_JOURNAL, _ROWS, _SKIPPED = "journal.json", "rows", "skipped"
_SCHEMA = 1


@dataclass
class Counts:
    """What became of the rows."""

    rows: int = 0
    """Written, with or without an answer."""
    cut: int = 0
    """Texts longer than the model reads."""
    empty: int = 0
    """Rows without a text, or in which the model knows no sign: written without an answer."""
    skipped: int = 0
    """Rows that can't be read or scored: in the side file, and nowhere else."""
    windowed: int = 0
    """Texts longer than the model reads at once, read in windows."""


@dataclass(frozen=True)
class State:
    """The journal."""

    run: dict[str, Any]
    """What the run was asked for: input, version, options. Who goes on must ask for the same."""
    place: Place = field(default_factory=Place)
    counts: Counts = field(default_factory=Counts)
    rows_bytes: int = 0
    skipped_bytes: int = 0
    whole: bool = False
    """Every row is there; what is left is to give the output its name."""

    @classmethod
    def parse(cls, content: str) -> "State":
        """Return the state of a journal's text. Raises ValueError: it is none."""
        try:
            said = json.loads(content)
            if said.pop("schema") != _SCHEMA:
                raise ValueError("of another version of this program")
            said |= {"place": Place(**said["place"]), "counts": Counts(**said["counts"])}
            return cls(**said)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None

    def text(self) -> str:
        """Return the journal's text."""
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1) + "\n"


def partial_folder(output: Path) -> Path:
    """Return where a run keeps what it has."""
    return output.with_name(output.name + SUFFIX)


def skipped_file(output: Path) -> Path:
    """Return the side file of an output."""
    return output.with_name(output.name + ".skipped.jsonl")


class Workplace:
    """The folder of one run, held by one process at a time. Use as a context manager."""

    def __init__(self, output: Path, skipped: Path) -> None:
        self.output = output
        self.skipped = skipped
        self.folder = partial_folder(output)
        self.state: State | None = None
        self._lock: int | None = None
        self._rows: BinaryIO | None = None
        self._left_out: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Raises UsageError: another run writes the same output, or there is no place for it."""
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another run writes {self.output} at this moment.") from None
        except FileNotFoundError:
            raise UsageError(f"{self.output.parent} is no folder; make it first.") from None
        except OSError as error:
            raise UsageError(f"{self.folder} can't be made: {error.strerror}.") from None
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._rows, self._left_out):
            if stream is not None:
                with contextlib.suppress(OSError):  # a full disk: what the journal names is on it already
                    stream.close()
        if not (self.folder / _JOURNAL).exists() and self._rows is None:
            shutil.rmtree(self.folder, ignore_errors=True)  # nothing was begun
        if self._lock is not None:
            os.close(self._lock)

    def read(self) -> State | None:
        """Return what an earlier run has left. Raises UsageError: nobody can read it."""
        try:
            self.state = State.parse((self.folder / _JOURNAL).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder / _JOURNAL} can't be read ({error}); --restart begins anew.") from None
        return self.state

    def begin(self, state: State, head: bytes) -> None:
        """Begin anew, with what stands before the first row."""
        for name in (_JOURNAL, _ROWS, _SKIPPED):
            (self.folder / name).unlink(missing_ok=True)
        with _writing(self.output):
            self._rows = (self.folder / _ROWS).open("wb")
            self._left_out = (self.folder / _SKIPPED).open("wb")
        self.state = state
        self.commit(head, b"", state)

    def go_on(self) -> None:
        """Cut the files to what the journal says. Raises UsageError: they are shorter."""
        assert self.state is not None
        for name, size in ((_ROWS, self.state.rows_bytes), (_SKIPPED, self.state.skipped_bytes)):
            path = self.folder / name
            if not path.exists() or path.stat().st_size < size:
                raise UsageError(f"{path} lacks rows that the journal names; --restart begins anew.")
            os.truncate(path, size)
        self._rows = (self.folder / _ROWS).open("ab")
        self._left_out = (self.folder / _SKIPPED).open("ab")

    def commit(self, rows: bytes, skipped: bytes, state: State) -> None:
        """Add to the files, and say so in the journal.

        Raises:
            BatchError: the disk is full; what was committed before stays.
        """
        assert self.state is not None
        assert self._rows is not None
        assert self._left_out is not None
        with _writing(self.output):
            for stream, content in ((self._rows, rows), (self._left_out, skipped)):
                if content:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
            now = replace(
                state,
                rows_bytes=self.state.rows_bytes + len(rows),
                skipped_bytes=self.state.skipped_bytes + len(skipped),
            )
            self._note(now)

    def _note(self, state: State) -> None:
        new = self.folder / f"{_JOURNAL}.new"
        with new.open("w", encoding="utf-8") as stream:
            stream.write(state.text())
            stream.flush()
            os.fsync(stream.fileno())
        new.rename(self.folder / _JOURNAL)
        assert self._lock is not None
        os.fsync(self._lock)
        self.state = state

    def finish(self, convert: Any) -> None:
        """Give the output its name; `convert`, if any, makes the file that is meant of the rows first.

        Every step can be done again, so that whoever is killed here goes on here.

        Raises:
            BatchError: the disk is full.
        """
        assert self.state is not None
        rows = self.folder / _ROWS
        with _writing(self.output):
            if not self.state.whole:
                self._note(replace(self.state, whole=True))
            if rows.exists():  # else the output has its name already
                if not self.state.skipped_bytes:
                    self.skipped.unlink(missing_ok=True)  # an earlier run's
                elif (self.folder / _SKIPPED).exists():
                    (self.folder / _SKIPPED).replace(self.skipped)
                ready = rows
                if convert is not None:
                    ready = self.folder / "converted"
                    convert(rows, ready)
                    flush(ready)
                ready.replace(self.output)
                flush(self.output.parent)
            shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BatchError(f"{output} can't be written: {error.strerror or error}.") from None
