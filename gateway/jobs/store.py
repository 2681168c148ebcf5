"""Where jobs are kept: a folder each, which appears whole, and goes as a whole.

Several workers, and several gateways, may share the place. Who runs a job holds the lock of its folder; so does who
writes down where it is. All methods block.
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway.batch.journal import State as Progress
from gateway.batch.journal import partial_folder
from gateway.errors import JobsFullError
from gateway.jobs.record import JobRecord, JobState
from repository.disk import flush

MB = 1_000_000
INPUT, RESULT = "input", "result"
_JOB, _STATE, _CANCEL, _DELETE = "job.json", "state.json", "cancel", "delete"
_ID = re.compile(r"[0-9a-f]{32}")
_ASIDE = "."
ABANDONED_S = 60.0
"""A folder that nobody holds is left alone for so long: it may just be made."""

Kept = TypeVar("Kept", bound=BaseModel)


class JobStore:
    """The jobs in a folder."""

    def __init__(self, folder: Path, most_jobs: int, most_bytes: int) -> None:
        """Take the folder, which is made if it is not there.

        Args:
            folder: of the jobs; those who may read it can read what was sent.
            most_jobs: kept at a time, whatever their state.
            most_bytes: of all files of all jobs.

        Raises:
            OSError: it cannot be made, or nothing can be written there.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, os.strerror(13), str(folder))
        self.folder = folder
        self._most_jobs = most_jobs
        self.most_bytes = most_bytes

    def path(self, job: str, name: str = "") -> Path:
        """The folder of a job, or a file in it."""
        return self.folder / job / name

    def ids(self) -> list[str]:
        """Every job."""
        return [path.name for path in self.folder.iterdir() if _ID.fullmatch(path.name)]

    def used_bytes(self) -> int:
        """Size of all files, those of requests that are being taken included."""
        used = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    used += Path(folder, name).stat().st_size
        return used

    def refuse_more(self, more_bytes: int, more_jobs: int = 0) -> None:
        """Raise JobsFullError if there is no room for so much more."""
        if more_jobs and len(self.ids()) + more_jobs > self._most_jobs:
            raise JobsFullError(
                f"There are {self._most_jobs} jobs, the most that are kept (JOBS_KEPT): delete those whose results you "
                "have (DELETE /jobs/ID)."
            )
        if self.used_bytes() + more_bytes > self.most_bytes:
            raise JobsFullError(
                f"Jobs take all of the {self.most_bytes // MB} MB that they may (JOBS_MAX_MB): delete those whose "
                "results you have (DELETE /jobs/ID)."
            )

    def record(self, job: str) -> JobRecord | None:
        """What was asked for; None: there is no such job, or it is to be deleted."""
        if not _ID.fullmatch(job) or self.path(job, _DELETE).exists():
            return None
        return _read(JobRecord, self.path(job, _JOB))

    def state(self, job: str) -> JobState:
        """Where it is."""
        found = _read(JobState, self.path(job, _STATE)) or JobState()
        if found.state in ("queued", "running") and self.is_cancelled(job):
            return found.model_copy(update={"state": "cancelled"})
        return found

    def progress(self, job: str) -> Progress | None:
        """What its journal says; None: nothing is written yet."""
        try:
            return Progress.parse((partial_folder(self.path(job, RESULT)) / "journal.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def rows_file(self, job: str) -> Path:
        """The lines of its result, of which those count that the journal names."""
        return partial_folder(self.path(job, RESULT)) / "rows"

    def inputs(self, job: str) -> list[Path]:
        """What was sent, whole or in part."""
        return [self.path(job, INPUT), self.path(job, f"{INPUT}.new")]

    def write_state(self, job: str, state: JobState) -> None:
        """Say where it is; from who holds its lock. Raises OSError: the disk is full, or the job is gone."""
        _write(self.path(job, _STATE), state)

    def cancel(self, job: str) -> None:
        """Tell who runs it to stop; the rows that are done stay."""
        self.path(job, _CANCEL).touch(0o600)

    def is_cancelled(self, job: str) -> bool:
        """Whether somebody wants it to stop."""
        return self.path(job, _CANCEL).exists() or self.path(job, _DELETE).exists()

    def end_cancelled(self, job: str) -> None:
        """Let a job that is to stop, and that nobody runs, have ended. Raises OSError: the disk is full."""
        with self.holding(job) as held:
            state = self.state(job)
            if held and state.state == "cancelled" and state.finished is None:
                for path in self.inputs(job):
                    path.unlink(missing_ok=True)
                self.write_state(job, state.model_copy(update={"finished": time.time()}))

    def delete(self, job: str) -> None:
        """Delete all of it; by whoever runs it, as soon as that has stopped."""
        with contextlib.suppress(OSError):  # it is gone, or the disk is full: who runs it, if anybody, goes on
            self.path(job, _DELETE).touch(0o600)
        with self.holding(job) as held:
            if held:
                self._remove(job)

    def _remove(self, job: str) -> None:
        gone = self.folder / f"{_ASIDE}gone-{job}-{time.time_ns()}"
        with contextlib.suppress(FileNotFoundError):
            self.path(job).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @contextlib.contextmanager
    def holding(self, job: str) -> Iterator[bool]:
        """Hold the lock of a job; False: somebody else does, or it is gone."""
        with _locked(self.path(job)) as held:
            yield held

    @contextlib.contextmanager
    def slot(self, count: int) -> Iterator[bool]:
        """Hold one of so many places for running jobs; False: all are taken."""
        with contextlib.ExitStack() as stack:
            for place in range(count):
                path = self.folder / f"{_ASIDE}slot-{place}"
                path.touch(0o600)
                if stack.enter_context(_locked(path)):
                    yield True
                    return
            yield False

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """A folder for what is being taken; it is gone at the end, unless it was published."""
        aside = self.folder / f"{_ASIDE}new-{name}"
        aside.mkdir(mode=0o700)
        try:
            with _locked(aside):
                yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def publish(self, aside: Path, record: JobRecord) -> bool:
        """Make a job of a folder; False: there is one of that id already. Raises OSError."""
        _write(aside / _JOB, record)
        try:
            aside.rename(self.path(record.id))
        except OSError:
            if self.path(record.id).exists():
                return False
            raise
        flush(self.folder)
        return True

    def sweep(self, keep_s: float) -> None:
        """Delete what has been kept for long enough, or is nobody's any more."""
        for job in self.ids():
            if self.is_cancelled(job):
                self.end_cancelled(job)  # who ran it may have been killed before that
            finished = self.state(job).finished
            is_old = finished is not None and time.time() - finished > keep_s
            if is_old or self.path(job, _DELETE).exists():
                self.delete(job)
        for path in self.folder.glob(f"{_ASIDE}new-*"):
            with contextlib.suppress(FileNotFoundError), _locked(path) as held:
                if held and time.time() - path.stat().st_mtime > ABANDONED_S:  # whoever took it was killed
                    shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{_ASIDE}gone-*"):
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
    finally:
        os.close(descriptor)


def _read(kind: type[Kept], path: Path) -> Kept | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, content: BaseModel) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as stream:
        stream.write(content.model_dump_json().encode())
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(path)
    flush(path.parent)
