"""One run from the input's first row, or the first that is missing, to the output under its name."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvloop

from gateway.batch.answers import AnswerColumns
from gateway.batch.errors import BatchError, UsageError
from gateway.batch.formats import Format, is_packed
from gateway.batch.job import Job, Progress, Report, open_reader, writer_of
from gateway.batch.journal import Counts, State, Workplace
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.parquet import ParquetReader, write_parquet
from gateway.batch.rows import Broken, Chunk, TableReader, text_columns
from gateway.batch.scoring import LEAST_BATCH_TOKENS, CallLimits, Scored, Scorer
from gateway.batch.stream import OutputStream
from gateway.batch.tables import TableWriter
from gateway.batch.version import pick_version
from gateway.loaded_version import LoadedVersion
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient

LEAST_DEADLINE_S = 60.0
"""Of one call: nobody waits for it, and a large batch on a slow machine is no fault."""


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """Somebody pressed Ctrl-C, or sent SIGTERM."""


class Run:
    """Scores one file."""

    def __init__(self, job: Job, settings: GatewaySettings, sink: Workplace | OutputStream, report: Report) -> None:
        self._job = job
        self._settings = settings
        self._sink = sink
        self._report = report
        self.model_name = settings.model_name
        self.max_length: int | None = None
        """Tokens that the version reads; None until it is known."""
        self.seconds = 0.0
        self.begun_with = 0
        """Rows that were there already."""

    @property
    def state(self) -> State | None:
        """What has been written; None before there is anything."""
        return self._sink.state

    def score(self, before: State | None, learn: Callable[[JsonLinesReader], None]) -> None:
        """Score all that is missing, and give the output its name.

        Args:
            before: what an earlier run has left.
            learn: reads a file of JSON Lines for its columns, if these have to be known before.

        Raises:
            BatchError: it can't be done; what is there stays.
            Interrupted: somebody wants it to end.
        """
        if before is not None and before.whole:
            self._sink.finish(self._convert())
            return
        reader, source = open_reader(self._job)
        try:
            text_columns(reader.columns, self._job.text, self._job.text_pair)  # before anybody waits for Triton
        except UsageError:
            if not isinstance(reader, JsonLinesReader):  # its first line need not have all
                raise
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                version = runner.run(self._pick(before))
                self._check_same(before, version)
                has_columns = self._job.output_format is not Format.JSONL
                if isinstance(reader, JsonLinesReader) and self._job.resumes and has_columns:
                    learn(reader)  # outside of the event loop: it takes its time, and Ctrl-C ends it
                runner.run(self._score(version, reader, before))
            finally:
                if source is not None and self._job.resumes:
                    source.close()
        self._sink.finish(self._convert())

    def _convert(self) -> Callable[[Path, Path], None] | None:
        return write_parquet if self._job.output_format is Format.PARQUET else None

    def _triton(self) -> TritonClient:
        settings = self._settings
        return TritonClient(settings.triton_host, settings.triton_http_port, settings.model_name)

    async def _pick(self, before: State | None) -> LoadedVersion:
        pinned = before.run["version"]["number"] if before else self._job.version
        async with self._triton() as triton:
            version = await pick_version(triton, self._settings, pinned)
        self.max_length = version.manifest.max_length
        return version

    async def _score(self, version: LoadedVersion, reader: TableReader, before: State | None) -> None:
        try:
            async with _cancelled_by_signals(), self._triton() as triton:
                await self._score_with(triton, version, reader, before)
        except asyncio.CancelledError:
            raise Interrupted from None

    def _check_same(self, before: State | None, version: LoadedVersion) -> None:
        if before is None:
            return
        asked = self._job.identity(version)
        if before.run == asked:
            return
        if before.run["input"] != asked["input"]:
            what = f"{self._job.source} is not the file, or not as it was"
        elif before.run["version"] != asked["version"]:
            what = f"version {version.number} is another than it was"
        else:
            old, new = before.run["options"], asked["options"]
            what = f"{next(name for name in {**old, **new} if old.get(name) != new.get(name))} is not what it was"
        raise UsageError(f"{what} when {self._job.output} was begun; --restart begins anew.")

    async def _score_with(
        self, triton: TritonClient, version: LoadedVersion, reader: TableReader, before: State | None
    ) -> None:
        job, settings = self._job, self._settings
        columns = text_columns(reader.columns, job.text, job.text_pair)
        answers = AnswerColumns(job.names, version.manifest, version.number)
        answers.check(reader.columns)
        writer = writer_of(job, reader, answers)
        if before is not None:
            assert isinstance(self._sink, Workplace)
            self._sink.go_on()
        else:
            self._sink.begin(State(job.identity(version)), writer.head())
        state = self._sink.state
        assert state is not None
        self.begun_with = state.counts.rows
        limits = CallLimits(
            settings.triton_calls,
            _tokens_of_a_call(settings),
            settings.batch_sentences,
            max(LEAST_DEADLINE_S, settings.deadline_ms / 1000),
            job.patience_s,
        )
        begun = time.monotonic()
        writing = _Writing(job, self._sink, writer, answers, reader, self._report)
        await Scorer(triton, version, limits, job.windows).run(
            _checked(reader.chunks(state.place, columns)), writing.write
        )
        self.seconds = time.monotonic() - begun


@asynccontextmanager
async def _cancelled_by_signals() -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM cancel the task, and mean afterwards what they meant before.

    The loop's own end gives nothing back: what comes after it, such as a long table's conversion, could not be
    interrupted.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _tokens_of_a_call(settings: GatewaySettings) -> int:
    chosen = "batch_tokens" in settings.model_fields_set
    return settings.batch_tokens if chosen else max(settings.batch_tokens, LEAST_BATCH_TOKENS)


def _checked(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks; what nobody foresaw while reading is said in one line, too."""
    try:
        yield from chunks
    except OSError as error:
        raise UsageError(f"the input can't be read on: {error.strerror or error}.") from None


class _Writing:
    """Writes scored chunks, and counts."""

    def __init__(
        self,
        job: Job,
        sink: Workplace | OutputStream,
        writer: TableWriter,
        answers: AnswerColumns,
        reader: TableReader,
        report: Report,
    ) -> None:
        self._job = job
        self._sink = sink
        self._writer = writer
        self._answers = answers
        self._reader = reader
        self._report = report
        assert sink.state is not None
        self._begin = sink.state.place
        self._begun_with = sink.state.counts.rows + sink.state.counts.skipped

    def write(self, scored: Scored) -> None:
        """Write one chunk. Raises BatchError: a row of it is broken and must not be left out, or the disk is full."""
        chunk = scored.chunk
        if chunk.broken and not self._job.skip_broken:
            first = chunk.broken[0]
            raise BatchError(
                f"{self._job.source}: {self._reader.unit} {first.number} {first.reason}. `--on-error skip` leaves "
                f"such rows out and lists them."
            )
        values = [self._answers.empty() if row is None else self._answers.values(row) for row in scored.answers]
        state = self._sink.state
        assert state is not None
        before = state.counts
        counts = Counts(
            rows=before.rows + len(chunk.rows),
            cut=before.cut + scored.cut,
            windowed=before.windowed + scored.windowed,
            empty=before.empty + sum(row is None for row in scored.answers),
            skipped=before.skipped + len(chunk.broken),
        )
        rows = self._writer.body(chunk.rows, values)
        skipped = "".join(map(self._line, chunk.broken)).encode("utf-8", "backslashreplace")
        self._sink.commit(rows, skipped, replace(state, place=chunk.end, counts=counts))
        self._report(Progress(counts.rows + counts.skipped - self._begun_with, counts, self._share(chunk)))

    def _share(self, chunk: Chunk) -> float | None:
        """Return how much of what was missing is done: of the rows of Parquet, else of the bytes."""
        if isinstance(self._reader, ParquetReader):
            done, begin, total = chunk.end.row, self._begin.row, self._reader.count
        elif self._job.resumes:
            begin = 0 if is_packed(self._job.source) else self._begin.offset
            done, total = chunk.read_bytes, self._job.source.stat().st_size
        else:
            return None
        return min(1.0, (done - begin) / max(1, total - begin))

    def _line(self, broken: Broken) -> str:
        line = {self._reader.unit: broken.number, "error": broken.reason, "record": broken.record}
        return json.dumps(line, ensure_ascii=False, default=str) + "\n"
