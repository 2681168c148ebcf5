"""Which versions must not answer by being the newest? What the record of trials says, read after Triton listed them.

The record is written before a candidate's folder is there. So whoever reads it after a version was listed knows whether
that version is a candidate, and until it was read, a version that is new does not answer.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from repository.candidates.trial import Trials, state_name
from repository.manifest import RepositoryError
from repository.problem import Problem
from repository.s3_store import S3Store
from repository.store import numbers_in

logger = logging.getLogger(__name__)

READING_S = 5.0
PAUSE_S = 5.0
"""Between two readings of a record in S3 that could not be read."""
UNREADABLE = "The record of trials is not followed"


class TrialState(Protocol):
    """The record of a model's trials."""

    trials: Trials
    """As it was read last."""

    async def not_to_answer(self, ready: Collection[int], /) -> Collection[int]:
        """Those of the versions that Triton serves, maybe among others, that must not become current by themselves."""


class LocalState:
    """Of a repository that is a folder: a small file, read at each look."""

    def __init__(self, model_folder: Path) -> None:
        self.trials = Trials()
        self._path = model_folder.parent / state_name(model_folder.name)
        self._content = b""
        self._problem = Problem(logger)

    async def not_to_answer(self, _ready: Collection[int]) -> Collection[int]:
        """Reading it takes some 20 microseconds, where no network is between."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            self._problem.tell(UNREADABLE, error)
            content = self._content
        if content != self._content:
            try:
                self.trials = Trials.parse(content, self._path.name) if content else Trials()
                self._content = content
                self._problem.over()
            except RepositoryError as error:
                self._problem.tell(UNREADABLE, error)
        return self.trials.set_aside


class S3State:
    """Of a repository in S3: read at each look at the bucket, and when Triton serves a version that is new.

    It is kept beside the cached versions, for a start while S3 is away. A version is never cached before the record was
    read, so that the kept one knows of all versions that are in the cache.
    """

    def __init__(self, store: S3Store, model_folder: Path) -> None:
        self.trials = Trials()
        self._store = store
        self._model_folder = model_folder
        self._kept = model_folder.parent / state_name(model_folder.name)
        self._known: set[int] = set()
        self._retry_at = 0.0
        self._one_at_a_time = threading.Lock()
        self._problem = Problem(logger)

    def read(self, numbers: Collection[int]) -> None:
        """Read the record, which then knows of all these versions. Blocks.

        Raises:
            RepositoryError, OSError: it cannot be read, or not kept.
        """
        with self._one_at_a_time:  # else one that was read earlier might come to be believed later
            trials = self._store.trials()
            if trials != self.trials or not self._kept.exists():
                self._kept.parent.mkdir(parents=True, exist_ok=True)
                staging = self._kept.with_suffix(f".{os.getpid()}.new")  # other processes may share the cache
                staging.write_text(trials.text(), encoding="utf-8")
                staging.replace(self._kept)
            self.trials = trials
            self._known |= set(numbers)  # a number is never used twice

    async def not_to_answer(self, ready: Collection[int]) -> Collection[int]:
        """One request where a version is new."""
        if not self._known.issuperset(ready) and time.monotonic() >= self._retry_at:
            try:
                async with asyncio.timeout(READING_S):
                    await asyncio.to_thread(self.read, self._known | set(ready))
                self._problem.over()
            except (RepositoryError, OSError) as error:  # TimeoutError is one
                self._problem.tell(UNREADABLE, error)
                self._retry_at = time.monotonic() + PAUSE_S
                self._take_kept()
        return self.trials.set_aside | (set(ready) - self._known)

    def _take_kept(self) -> None:
        try:
            kept = Trials.parse(self._kept.read_bytes(), self._kept.name)
        except (RepositoryError, OSError):
            kept = Trials()
        if not self._known:
            self.trials = kept
        self._known |= set(numbers_in(self._model_folder))
