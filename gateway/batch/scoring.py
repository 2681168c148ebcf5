"""Chunks of texts become logits: neighbours in length in full batches, several calls to Triton under way all the time.

A thread reads and tokenizes ahead (the tokenizer works outside of Python's lock), another writes; in between, the next
chunk's batches follow the last of the one before, so that no instance of Triton ever waits for work.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.batch.errors import BatchError
from gateway.batch.rows import Chunk
from gateway.batch.version import is_gone
from gateway.cascade import Answered
from gateway.encoding import Tokens, encode_all, is_blank
from gateway.errors import GatewayError, ModelFailedError, VersionGoneError
from gateway.loaded_version import LoadedVersion
from gateway.rows import Row, rows_of
from gateway.triton import TritonClient
from gateway.windows.cutting import Windows, cut
from gateway.windows.joining import joined
from repository.inference import Float32Array, Int64Array, pad_batch

READ_AHEAD = 2
"""Chunks that are read and tokenized while others are scored."""
UNDER_WAY = 2
"""Chunks whose batches may be in calls at a time."""
LEAST_BATCH_TOKENS = 512
"""Of a call, unless BATCH_TOKENS says otherwise: nobody waits for one text of a file, and fewer calls cost less."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True)
class CallLimits:
    """Bounds of the calls to Triton."""

    calls: int
    """Under way at once."""
    tokens: int
    """Most of one call, padding included; a longer text goes alone."""
    sentences: int
    deadline_s: float
    patience_s: float
    """How long Triton may be away before the run stops."""


@dataclass
class Scored:
    """A chunk with its answers."""

    chunk: Chunk
    answers: list[Row | None]
    """Of each row; None for one without a text or a token."""
    cut: int
    """Texts of which the model did not read all."""
    windowed: int
    """Texts that it read in several windows."""


@dataclass
class _Encoded:
    chunk: Chunk
    parts: list[range]
    """The pieces of each row: its text, or the windows of a long one; none without a text or a token."""
    pieces: list[Tokens]
    owners: list[int]
    """The row of each piece."""
    failed: dict[int, str]
    answers: list[Row | None]
    """To each piece."""


def encode_chunk(version: LoadedVersion, chunk: Chunk, windows: Windows | None = None) -> _Encoded:
    """Return the tokens of each row, cut at the model's limit or, if there are `windows`, into those.

    Nothing is asked for a row without a text, or in which the model knows no sign.
    """
    asked = [place for place, text in enumerate(chunk.texts) if not is_blank(text)]
    found = encode_all(version, [chunk.texts[place] for place in asked], truncate=True, side=None)
    tokens_of = {place: tokens for place, tokens in zip(asked, found, strict=True) if tokens.ids}
    encoded = _Encoded(chunk, [], [], [], {}, [])
    for place, text in enumerate(chunk.texts):
        pieces = [tokens_of[place]] if place in tokens_of else []
        if windows is not None and pieces and pieces[0].cut:
            try:
                pieces = cut(version, text, windows, "the text")
            except GatewayError as error:
                encoded.failed[place] = f"cannot be read in windows: {str(error).rstrip('.')}"
                pieces = []
        encoded.parts.append(range(len(encoded.pieces), len(encoded.pieces) + len(pieces)))
        encoded.pieces += pieces
        encoded.owners += [place] * len(pieces)
    encoded.answers = [None] * len(encoded.pieces)
    return encoded


def batches_of(lengths: Sequence[int], limits: CallLimits) -> list[list[int]]:
    """Cut into batches of neighbours in length, the longest first.

    Args:
        lengths: tokens of each text or window; one of 0 is in no batch.
        limits: bounds of a batch.
    """
    batches: list[list[int]] = []
    for place in sorted((place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place]):
        count = len(batches[-1]) + 1 if batches else 0
        if batches and count <= limits.sentences and count * lengths[batches[-1][0]] <= limits.tokens:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


class Scorer:
    """Asks one version. Belongs to one event loop."""

    def __init__(
        self, triton: TritonClient, version: LoadedVersion, limits: CallLimits, windows: Windows | None = None
    ) -> None:
        """`windows` says how long texts are read; they are cut if it is None."""
        self._windows = windows
        self._triton = triton
        self._version = version
        self._limits = limits
        self._free = asyncio.Semaphore(limits.calls)

    async def run(self, chunks: Iterator[Chunk], write: Callable[[Scored], None]) -> None:
        """Score all chunks; `write` gets them in their order, on a thread, one at a time.

        Raises:
            BatchError: what `chunks` or `write` raises, or Triton is away for too long, or the version is gone.
        """
        under_way: asyncio.Queue[asyncio.Task[Scored] | None] = asyncio.Queue(UNDER_WAY)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_write_in_order(under_way, write))
                async for encoded in _ahead(chunks, lambda chunk: encode_chunk(self._version, chunk, self._windows)):
                    begun = asyncio.Event()
                    await under_way.put(group.create_task(self._score(encoded, begun)))
                    await begun.wait()
                await under_way.put(None)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _score(self, encoded: _Encoded, begun: asyncio.Event) -> Scored:
        """Answer a chunk; `begun` is set once its last batch is in a call, so that another chunk's may follow."""
        lengths = [len(tokens.ids) for tokens in encoded.pieces]
        async with asyncio.TaskGroup() as calls:
            try:
                for batch in batches_of(lengths, self._limits):
                    await self._free.acquire()
                    calls.create_task(self._call(encoded, batch))
            finally:
                begun.set()
        left: Sequence[int] = range(len(encoded.parts))
        if encoded.failed:
            left = encoded.chunk.without(sorted(encoded.failed), lambda place: encoded.failed[place])
        parts = [encoded.parts[place] for place in left]
        return Scored(
            encoded.chunk,
            [self._joined([encoded.answers[piece] for piece in part]) for part in parts],
            cut=sum(any(encoded.pieces[piece].cut for piece in part) for part in parts),
            windowed=sum(len(part) > 1 for part in parts),
        )

    def _joined(self, rows: Sequence[Row | None]) -> Row | None:
        """The answer to one text, from those to its pieces."""
        answers = [Answered(*row, by=None) for row in rows if row is not None]
        if self._windows is None or len(answers) < 2:
            return next((row for row in rows if row is not None), None)
        answer = joined(answers, self._windows.join, self._version.manifest.problem_type)
        return Row(answer.logits, answer.scores, answer.waited_s)

    async def _call(self, encoded: _Encoded, batch: Sequence[int]) -> None:
        try:
            await self._answer(encoded, batch)
        finally:
            self._free.release()

    async def _answer(self, encoded: _Encoded, batch: Sequence[int]) -> None:
        """Ask for a batch; where the model fails, for each of its texts alone, so that one costs no other."""
        try:
            rows = rows_of(
                await self._logits(encoded, batch),
                self._version.number,
                self._version.manifest,
                [0.0] * len(batch),
            )
        except ModelFailedError as error:
            rows = [error] * len(batch)
        for place, row in zip(batch, rows, strict=True):
            if not isinstance(row, ModelFailedError):
                encoded.answers[place] = row
            elif len(batch) > 1:
                await self._answer(encoded, [place])
            else:
                encoded.failed[encoded.owners[place]] = f"has a text on which the model fails: {row.detail or row}"

    async def _logits(self, encoded: _Encoded, batch: Sequence[int]) -> Float32Array:
        found = [encoded.pieces[place] for place in batch]
        ids = [tokens.ids for tokens in found]
        manifest = self._version.manifest
        inputs = pad_batch(ids, manifest.pad_token_id, max(map(len, ids)), [tokens.mask for tokens in found])
        return await self._ask(inputs)

    async def _ask(self, inputs: dict[str, Int64Array]) -> Float32Array:
        """Ask until Triton answers, if that is soon; it may be starting anew."""
        pause_s, gives_up_at = FIRST_PAUSE_S, time.monotonic() + self._limits.patience_s
        while True:
            try:
                async with asyncio.timeout(self._limits.deadline_s):
                    return await self._triton.infer(self._version.number, inputs)
            except ModelFailedError:
                raise
            except VersionGoneError:
                reason = f"version {self._version.number} is no longer served"
                if await is_gone(self._triton, self._version.number):
                    raise BatchError(f"{reason}; Triton has others.") from None
            except (GatewayError, TimeoutError) as error:
                reason = str(error).split(";")[0].rstrip(".") or "Triton does not answer in time"
            if time.monotonic() > gives_up_at:
                raise BatchError(f"{reason}.") from None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _write_in_order(
    under_way: "asyncio.Queue[asyncio.Task[Scored] | None]", write: Callable[[Scored], None]
) -> None:
    while (scored := await under_way.get()) is not None:
        await asyncio.to_thread(write, await scored)


def first_error(errors: BaseException) -> BaseException:
    """What a group of tasks failed by: the first of its errors that is no group itself."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


async def _ahead(chunks: Iterator[Chunk], prepare: Callable[[Chunk], _Encoded]) -> AsyncIterator[_Encoded]:
    """Yield the chunks, prepared by a thread that is some ahead.

    A daemon: one that waits for somebody to type must not keep the program from ending.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[_Encoded | BaseException | None] = asyncio.Queue()
    places = threading.Semaphore(READ_AHEAD)
    stopped = False

    def put(item: _Encoded | BaseException | None) -> None:
        if not stopped:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        try:
            for chunk in chunks:
                places.acquire()
                if stopped:
                    return
                put(prepare(chunk))
            put(None)
        except BaseException as error:  # whatever it is, it is the run's
            put(error)

    threading.Thread(target=read, name="reader", daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            places.release()
            yield item
    finally:
        stopped = True
        places.release()
