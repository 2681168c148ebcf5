"""One stretch of a job, from where its journal says to the end of the table: read, tokenize, ask, write, side by side.

A stretch ends early where a version goes that was asked: what was answered and not written is asked again of another
one, in a stretch that begins where the journal says. So no row is lost or there twice, whoever is swapped meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from gateway.batch.rows import Chunk
from gateway.batch.scoring import FIRST_PAUSE_S, LONGEST_PAUSE_S, first_error
from gateway.errors import GatewayError, InvalidRequestError, ModelFailedError, NotReadyError, VersionGoneError
from gateway.jobs.lane import Lane
from gateway.jobs.prepared import Prepared
from gateway.loaded_version import LoadedVersion
from gateway.rows import rows_of
from gateway.triton import TritonClient
from repository.inference import Float32Array, pad_batch

READ_AHEAD = 1
"""Chunks that are tokenized and in no call yet: their tokens are memory."""
MOST_UNWRITTEN = 3
"""Chunks that are begun and not written."""
LEAST_DEADLINE_S = 60.0
"""Of one call: nobody waits for it."""
LOOKED_EVERY_S = 1.0
GONE_LOOKS = 2
"""Looks in a row that must not find a version: what one Triton of several says may be late."""
GONE = "The version that was asked for is gone: it was retracted, pruned, or newer ones took its place."

Prepare = Callable[[Chunk], Awaitable[Prepared]]
Write = Callable[[Prepared], Awaitable[None]]


class Stretch:
    """Asks for the rows of one table. Belongs to one event loop, and is used once."""

    def __init__(
        self,
        triton: TritonClient,
        lane: Lane,
        calls: int,
        sentences: int,
        deadline_s: float,
        check: Callable[[LoadedVersion], None],
    ) -> None:
        """Take what is asked.

        Args:
            triton: of the job's model.
            lane: says when a call may begin, and how large it may be.
            calls: most under way at once.
            sentences: most of one call.
            deadline_s: after which a call is given up, and tried again; `LEAST_DEADLINE_S` at least.
            check: raises VersionGoneError for a version that must not be asked any more.
        """
        self._triton = triton
        self._lane = lane
        self._calls = calls
        self._sentences = sentences
        self._check = check
        self._deadline_s = max(LEAST_DEADLINE_S, deadline_s)
        self._ready: asyncio.Queue[Prepared | None] = asyncio.Queue(READ_AHEAD)
        self._in_order: asyncio.Queue[Prepared | None] = asyncio.Queue(MOST_UNWRITTEN)
        self._current: Prepared | None = None
        self._is_over = False
        self._taking = asyncio.Lock()

    async def run(self, chunks: Iterator[Chunk], prepare: Prepare, write: Write) -> None:
        """Ask for all chunks; `write` gets them in their order, one at a time.

        Raises:
            VersionGoneError: another version has to be asked from where the journal is now.
            Exception: whatever `chunks`, `prepare` or `write` raise.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed(chunks, prepare))
                for _ in range(self._calls):
                    group.create_task(self._ask_on())
                group.create_task(self._write(write))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _feed(self, chunks: Iterator[Chunk], prepare: Prepare) -> None:
        while True:
            await self._lane.spare()
            chunk = await asyncio.to_thread(next, chunks, None)
            if chunk is None:
                break
            prepared = await prepare(chunk)
            await self._ready.put(prepared)
            await self._in_order.put(prepared)
        await self._ready.put(None)
        await self._in_order.put(None)

    async def _write(self, write: Write) -> None:
        while (prepared := await self._in_order.get()) is not None:
            await prepared.done.wait()
            await write(prepared)

    async def _ask_on(self) -> None:
        while (prepared := await self._with_work()) is not None:
            tokens = await self._lane.turn()
            taken = prepared.take(tokens, self._sentences)
            begun, asked = time.perf_counter(), 0
            try:
                if taken:
                    asked = await self._ask(prepared, taken)
            finally:
                self._lane.ended(asked, time.perf_counter() - begun)

    async def _with_work(self) -> Prepared | None:
        """The chunk whose pieces are next; None at the end."""
        async with self._taking:
            while not self._is_over and (self._current is None or not self._current.waiting):
                self._current = await self._ready.get()
                self._is_over = self._current is None
            return self._current

    async def _ask(self, prepared: Prepared, taken: Sequence[int]) -> int:
        """Ask for some pieces; where the model fails, for each alone, so that one costs no other.

        Returns how many tokens were computed, padding included; 0 if it took more than one call.
        """
        version = prepared.version
        try:
            logits, tries = await self._until_answered(prepared, taken)
            rows = rows_of(logits, version.number, version.manifest, [0.0] * len(taken))
        except ModelFailedError as error:
            rows, tries = [error] * len(taken), 2
        for piece, row in zip(taken, rows, strict=True):
            if not isinstance(row, ModelFailedError):
                prepared.settle(piece, row)
            elif len(taken) > 1:
                tries += 1
                await self._ask(prepared, [piece])
            else:
                prepared.settle(piece, None, "the model fails on the text")
        return len(taken) * max(len(prepared.pieces[piece].ids) for piece in taken) if tries == 1 else 0

    async def _until_answered(self, prepared: Prepared, taken: Sequence[int]) -> tuple[Float32Array, int]:
        """The logits `[pieces, labels]`, and how often was asked: Triton may be starting anew."""
        found = [prepared.pieces[piece] for piece in taken]
        ids, masks = [tokens.ids for tokens in found], [tokens.mask for tokens in found]
        inputs = pad_batch(ids, prepared.version.manifest.pad_token_id, max(map(len, ids)), masks)
        pause_s, tries = FIRST_PAUSE_S, 0
        while True:
            tries += 1
            self._check(prepared.version)
            try:
                async with asyncio.timeout(self._deadline_s):
                    return await self._triton.infer(prepared.version.number, inputs), tries
            except (ModelFailedError, VersionGoneError):
                raise
            except (GatewayError, TimeoutError):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def version_from(
    pick: Callable[[], Awaitable[LoadedVersion]],
    patience_s: float | None,
    is_gone: Callable[[], Awaitable[bool]] | None = None,
) -> LoadedVersion:
    """The version to ask, once there is one.

    Args:
        pick: finds it.
        patience_s: after which what `pick` says is believed; None: never, if it says that there is none *now*.
        is_gone: whether the only one that will do is taken away for good, and not merely its Triton; asked while `pick`
            finds none, and believed when it says so twice in a row.

    Raises:
        InvalidRequestError: it is gone.
        GatewayError: there is none that may be asked.
    """
    gives_up_at = None if patience_s is None else time.monotonic() + patience_s
    gone_in_a_row = 0
    while True:
        try:
            return await pick()
        except (NotReadyError, VersionGoneError):
            pass  # Triton is away, or between two versions
        except GatewayError:
            if gives_up_at is None or time.monotonic() > gives_up_at:
                raise
        if is_gone is not None:
            gone_in_a_row = gone_in_a_row + 1 if await is_gone() else 0
            if gone_in_a_row == GONE_LOOKS:
                raise InvalidRequestError(GONE)
        await asyncio.sleep(LOOKED_EVERY_S)
