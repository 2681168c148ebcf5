"""One job from its table to its result, beginning where its journal says."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from prometheus_client import Counter

from gateway.batch.delimited import DelimitedReader
from gateway.batch.errors import BatchError, UsageError
from gateway.batch.formats import Format
from gateway.batch.journal import Counts, State, Workplace
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.rows import Chunk, TableReader, TextColumns, text_columns
from gateway.batch.source import Source
from gateway.errors import GatewayError, VersionGoneError
from gateway.jobs.lane import Lane
from gateway.jobs.lines import Lines
from gateway.jobs.prepared import Prepared, Reading, prepare
from gateway.jobs.record import JobRecord
from gateway.jobs.sources import fetch
from gateway.jobs.store import INPUT, RESULT, JobStore
from gateway.jobs.stretch import Stretch, version_from
from gateway.loaded_version import LoadedVersion
from gateway.schemas import Options
from gateway.service import Service
from gateway.windows.request import windows_wanted
from repository.manifest import RepositoryError

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

CHUNK_ROWS = 512
"""Rows that are sorted by length together, and written at once: to read them takes a thread some 3 ms, for which
everybody else may have to wait, and on two cores they are scored in a second."""
PATIENCE_S = 30.0
"""How long a version that was asked for by its number may be unfit to be asked, while it is there."""

GONE_PAUSE_S = 0.2


class Run:
    """Runs one job. Belongs to one event loop, and is used once."""

    def __init__(
        self,
        record: JobRecord,
        store: JobStore,
        service: Service,
        lane: Lane,
        calls: int,
        rows_done: Callable[[str], Counter],
    ) -> None:
        """Raise InvalidRequestError: what was asked for does not go together."""
        self._record = record
        self._store = store
        self._service = service
        self._lane = lane
        self._calls = calls
        self._rows_done = rows_done
        self._options = Options(**record.options)
        windows = windows_wanted(self._options, service.settings)
        self._reading = Reading(self._options.truncate, windows, service.settings.max_sentence_bytes)
        join = self._options.window_join or service.settings.window_join
        self._lines = Lines(service, self._options, join, record.keep, lane)
        self._place: Workplace | None = None
        self._state = State({"job": record.id, "versions": [], "seconds": 0.0})
        self._written_at = time.monotonic()
        self._writing: asyncio.Future[Any] | None = None
        self._stack = contextlib.ExitStack()
        self._is_over = False

    async def run(self) -> None:
        """Answer every row.

        Raises:
            BatchError, GatewayError, RepositoryError, OSError: it cannot be done, see `reason`; what is done stays.
        """
        if self._record.source is not None and not self._store.path(self._record.id, INPUT).exists():
            await self._fetch()
        await self._on_thread(self._open)
        settings = self._service.settings
        deadline_s, sentences = settings.deadline_ms / 1000, settings.batch_sentences
        while True:
            await self._version()  # what reads the table may be large: not while nobody can answer it
            source = Source(self._store.path(self._record.id, INPUT), settings.jobs_max_bytes)
            try:
                chunks = await asyncio.to_thread(self._chunks, source)
                triton, check = self._service.triton, self._check
                stretch = Stretch(triton, self._lane, self._calls, sentences, deadline_s, check)
                await stretch.run(chunks, self._prepare, self._write)
                return
            except VersionGoneError as gone:
                logger.info("Job %s: version %d is gone; another goes on.", self._record.id, gone.version)
                await self._service.versions.refresh(lost=gone.version)
                await asyncio.sleep(GONE_PAUSE_S)
            finally:
                await self._written()  # the next stretch begins where this one's last chunk ends
                source.close()

    async def close(self) -> None:
        """Let go of the files, once what is being written is."""
        self._is_over = True
        await self._written()
        self._stack.close()

    def reason(self, error: BaseException) -> str:
        """Why it failed, for the caller: without the paths of this machine."""
        if isinstance(error, GatewayError | BatchError | RepositoryError):
            told = str(error)
        elif isinstance(error, OSError):
            told = f"The disk fails: {error.strerror or type(error).__name__}"
        else:
            logger.error("Job %s failed in a way nobody foresaw.", self._record.id, exc_info=error)
            told = "It failed in a way nobody foresaw; the gateway's log says why"
        for name, word in ((INPUT, "The table"), (RESULT, "The result")):
            told = told.replace(str(self._store.path(self._record.id, name)), word)
        told = told.replace("name the column of the text with --text.", "name the column of the text by `text`.")
        return f"{told[:1].upper()}{told[1:].rstrip('.')}."

    async def _fetch(self) -> None:
        most = self._service.settings.jobs_max_bytes
        total = await self._on_thread(lambda: fetch(self._record, self._store, most, lambda: self._is_over))
        self._state.run["total"] = total

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        """Let a thread do what must not be left half done: whoever is cancelled meanwhile waits for it in `close`."""
        writing = asyncio.ensure_future(asyncio.to_thread(work))
        self._writing = writing
        return await asyncio.shield(writing)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def _open(self) -> None:
        """Take the place where the result is written, with what an earlier run has left there."""
        place = Workplace(self._store.path(self._record.id, RESULT), self._store.path(self._record.id, "unused"))
        self._place = self._stack.enter_context(place)
        before = place.read()
        if before is None:
            place.begin(self._state, b"")
        else:
            self._state = before
            place.go_on()

    def _chunks(self, source: Source) -> Iterator[Chunk]:
        """What is left of the table. Raises UsageError: it is no table, or lacks a column."""
        reader: TableReader
        if self._record.format == "jsonl":
            reader = JsonLinesReader(source)
        else:
            reader = DelimitedReader(source, Format(self._record.format))
        text, pair = tuple(self._record.text), tuple(self._record.text_pair)
        try:
            columns = text_columns(reader.columns, text, pair)
        except UsageError:
            if self._record.format != "jsonl" or not text:  # the first line of JSON Lines need not have all
                raise
            columns = TextColumns(text, pair)
        return reader.chunks(self._state.place, columns, CHUNK_ROWS)

    async def _version(self) -> LoadedVersion:
        number = self._options.version
        classifier, versions = self._service.classifier, self._service.versions
        if number is None:
            return await version_from(lambda: classifier.version(None), None)

        async def is_gone() -> bool:
            await versions.refresh()
            return versions.lacks(number)

        return await version_from(lambda: classifier.version(number), PATIENCE_S, is_gone)

    def _check(self, version: LoadedVersion) -> None:
        """Raise VersionGoneError for one whose files were changed: nobody knows whose logits come now."""
        if version.number in self._service.versions.rejected:
            raise VersionGoneError(f"The files of version {version.number} were changed.", version.number)

    async def _prepare(self, chunk: Chunk) -> Prepared:
        return await prepare(chunk, await self._version(), self._reading, self._lane)

    async def _write(self, prepared: Prepared) -> None:
        before = self._state
        lines = await self._lines.of(prepared, before.counts.rows)
        chunk, number = prepared.chunk, prepared.version.number
        rows, failed = len(chunk.rows) + len(chunk.broken), len(chunk.broken) + len(prepared.errors)
        now = time.monotonic()
        run = {
            **before.run,
            "versions": sorted({*before.run["versions"], number}),
            "seconds": before.run["seconds"] + now - self._written_at,
        }
        counts = Counts(rows=before.counts.rows + rows, skipped=before.counts.skipped + failed)
        state = replace(before, run=run, place=chunk.end, counts=counts)
        await self._on_thread(lambda: self._commit(lines, state))
        self._written_at = now
        self._rows_done("answered").inc(rows - failed)
        self._rows_done("failed").inc(failed)

    def _commit(self, lines: bytes, state: State) -> None:
        self._store.refuse_more(len(lines))
        assert self._place is not None
        self._place.commit(lines, b"", state)
        assert self._place.state is not None
        self._state = self._place.state
