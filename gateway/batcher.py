"""Joins waiting sentences into calls to Triton: the oldest with its neighbours in length, several calls at a time.

There is no timer. While calls are free, what waits leaves at once, so a lone sentence never waits for company; while
all are under way, sentences gather, so that batches grow with the load by themselves.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.call_slots import CallSlots
from gateway.errors import DeadlineExceededError, GatewayError, ModelFailedError, OverloadedError
from gateway.neighbours import cheapest_batch, tokens_for_student
from gateway.pace import Pace
from gateway.places import Places
from gateway.rows import Row, rows_of
from gateway.tracing.parts import CallSpans
from gateway.waiting import Waiting, tokens_of
from repository.inference import Float32Array, Int64Array, pad_batch
from repository.manifest import Manifest

SMALLEST_SHARE = 4
"""Fewer sentences than this are not spread over several calls: a call costs about as much as computing one sentence."""

EXPECTED_SHARE_OF_DEADLINE = 0.5
"""A sentence is refused if it would have to wait longer than this part of its deadline: what is let in gets answered,
although the estimate is rough and the batch it ends up in takes time, too."""

UNFORESEEN = "Triton's answer could not be read; the gateway's log says why."

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """What wants to know of each call, such as the metrics."""

    def called(self, sentences: int, tokens: int, padded_tokens: int, waited_s: Sequence[float], took_s: float) -> None:
        """A call was answered: its size, how long each sentence waited before it, and how long it took."""


@dataclass(frozen=True)
class BatchLimits:
    """Bounds of the batcher.

    Attributes:
        calls: calls to Triton under way at the same time.
        tokens: most tokens of a call, padding included; a longer sentence goes alone.
        sentences: most sentences of a call; at most `max_batch_size` of the model's config.pbtxt.
        waiting: most sentences that wait, those that are still being tokenized included; more are refused.
        deadline_s: a call that takes longer is given up.
    """

    calls: int
    tokens: int
    sentences: int
    waiting: int
    deadline_s: float


class Batcher:
    """Asks Triton for many waiting sentences at once. Belongs to one event loop."""

    def __init__(
        self,
        infer: Callable[[int, dict[str, Int64Array]], Awaitable[Float32Array]],
        limits: BatchLimits,
        observer: Observer | None = None,
        infer_student: Callable[[int, dict[str, Int64Array]], Awaitable[Float32Array]] | None = None,
        slots: CallSlots | None = None,
    ) -> None:
        self._slots = slots or CallSlots(limits.calls)
        self._slots.join(self)
        self._infer = infer
        self._infer_student = infer_student or infer
        self._limits = limits
        self._observer = observer
        self._waiting: dict[Waiting, None] = {}  # ordered by arrival; a dict, so that one that hung up can leave
        self._waiting_tokens = self._held = 0
        self._calls: dict[asyncio.Task[None], int] = {}  # with the tokens of each
        self._to_student = 0  # of these calls
        self._scheduled = self._closed = False
        self.calls_begun = 0  # to Triton, for who gives way to them
        self._pace = Pace()
        self.spans: CallSpans | None = None
        """What follows calls; None where no request is traced."""

    @property
    def waiting(self) -> int:
        """Sentences that were admitted and are in no call yet."""
        return len(self._waiting) + self._held

    @property
    def calls_under_way(self) -> int:
        """Calls to Triton that are not answered yet."""
        return len(self._calls)

    @property
    def calls_that_count(self) -> int:
        """These, but for one to the student: it is soon over, and the model's cores would wait for the next one."""
        return len(self._calls) - bool(self._to_student)

    @property
    def waits_since(self) -> float | None:
        """When the sentence that waits longest came; None: none waits for a call."""
        return next(iter(self._waiting)).since if self._waiting and not self._closed else None

    @property
    def is_idle(self) -> bool:
        """Whether no sentence waits and no call is under way."""
        return not self._calls and not self.waiting

    def expected_wait_s(self) -> float:
        """How long a sentence that comes now would wait, at the pace of the last calls.

        That is for what waits and for what is under way. 0 while nothing waits, whatever the pace: it is measured
        while something waits, so that one which is too slow could never be corrected if nothing were let in.
        """
        return self._pace.wait_s(self._waiting_tokens + sum(self._calls.values())) if self._waiting else 0.0

    def admit(self, sentences: int, within_s: float | None = None) -> Places:
        """Places for so many sentences, to be used in a `with`; refuses at once what could not be answered in time.

        Raises:
            OverloadedError: too many sentences wait already.
        """
        are_too_many = self.waiting + sentences > self._limits.waiting
        if are_too_many or self.expected_wait_s() > EXPECTED_SHARE_OF_DEADLINE * (within_s or self._limits.deadline_s):
            raise OverloadedError(f"Too busy: {self.waiting} sentences are waiting; try again shortly.")
        return Places(self._hold, sentences)

    def _hold(self, more: int) -> None:
        self._held += more

    def submit(
        self,
        version: int,
        manifest: Manifest,
        ids: Sequence[int],
        mask: Sequence[int] | None = None,
        student: bool = False,
    ) -> "asyncio.Future[Row]":
        """The answer to one sentence, to be awaited; cancel it to give the place up.

        `mask` is its attention mask, all ones if None; `student` asks the version's student, not its model. It fails
        with a GatewayError: Triton is away or failed, the version is gone, a logit is no finite number.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(version, manifest, ids, mask, loop.create_future(), time.perf_counter(), len(ids), student)
        if self.spans is not None:
            waiting.trace = self.spans.request()
        self._enqueue(waiting)
        waiting.row.add_done_callback(lambda _: self._forget(waiting))
        return waiting.row

    def close(self) -> None:
        """Give up what waits and what is under way; those who wait for it are cancelled."""
        if not self._closed:
            self._slots.leave(self)
        self._closed = True
        for waiting in list(self._waiting):
            waiting.row.cancel()
        for call in self._calls:
            call.cancel()

    def _enqueue(self, waiting: Waiting) -> None:
        self._waiting[waiting] = None
        self._waiting_tokens += waiting.tokens
        if not self._scheduled and self._slots.has_room(self):
            # Later in this turn of the loop: what arrived with it shares the call.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _forget(self, waiting: Waiting) -> None:
        if waiting in self._waiting:
            del self._waiting[waiting]
            self._waiting_tokens -= waiting.tokens

    def _dispatch(self) -> None:
        self._scheduled = False
        self._slots.deal()
        if self._waiting:
            self._pace.backlog_begins(time.perf_counter())
        else:
            self._pace.backlog_ends()

    def begin_call(self) -> None:
        """Send the sentence that waits longest, and some like it."""
        batch = self._take()
        self.calls_begun += 1
        call = asyncio.get_running_loop().create_task(self._call(batch))
        self._calls[call] = tokens_of(batch)
        self._to_student += batch[0].student
        call.add_done_callback(functools.partial(self._finished, batch))
        if not self._waiting:
            self._pace.backlog_ends()

    def _finished(self, batch: list[Waiting], call: "asyncio.Task[None]") -> None:
        del self._calls[call]
        self._to_student -= batch[0].student
        # Whatever ended the call: nobody is left without an answer, but for those who are tried again by themselves.
        for waiting in batch:
            if waiting.row.done() or (waiting.alone and len(batch) > 1):
                continue
            if self._closed:
                waiting.row.cancel()
            else:
                waiting.row.set_exception(ModelFailedError(UNFORESEEN))
        self._dispatch()

    def _take(self) -> list[Waiting]:
        """The sentence that waits longest, and those of its version that are nearest to it in length."""
        oldest = next(iter(self._waiting))
        batch = [oldest]
        if not oldest.alone:
            try:
                batch = self._with_neighbours(oldest)
            except Exception:
                # Whatever it is: those who wait behind it must not wait for ever.
                logger.exception("Choosing a batch failed; its oldest sentence is sent alone.")
        for waiting in batch:
            self._forget(waiting)
        return batch

    def _with_neighbours(self, oldest: Waiting) -> list[Waiting]:
        wanted = (oldest.version, oldest.student)
        candidates = [w for w in self._waiting if (w.version, w.student) == wanted and not w.alone]
        most, tokens = self._limits.sentences, self._limits.tokens
        if oldest.student and (cascade := oldest.manifest.cascade) is not None:
            return cheapest_batch(candidates, oldest, most, tokens_for_student(tokens, cascade.cost))
        # Not all to one call: the others would have nothing to do while it computes.
        share = max(SMALLEST_SHARE, -(-len(self._waiting) // self._limits.calls))
        return cheapest_batch(candidates, oldest, min(share, most), tokens)

    async def _call(self, batch: list[Waiting]) -> None:
        """Answer or fail every sentence of the batch: none is left without, whatever happens on the way."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                padded_tokens, logits = await self._logits(batch)
            rows = rows_of(logits, batch[0].version, batch[0].manifest, [start - w.since for w in batch])
        except TimeoutError:
            self._pace.call_ended(time.perf_counter(), tokens_of(batch))  # else the same load would be let in again
            self._fail(batch, DeadlineExceededError("Triton did not answer in time; try again later."))
        except ModelFailedError as error:
            self._fail_alone(batch, error)
        except GatewayError as error:
            self._fail(batch, error)
        except Exception:
            logger.exception("A call to Triton failed in a way nobody foresaw.")
            self._fail_alone(batch, ModelFailedError(UNFORESEEN))
        else:
            self._settle(batch, rows)
            self._note(batch, padded_tokens, start)

    async def _logits(self, batch: list[Waiting]) -> tuple[int, Float32Array]:
        """The tokens that were sent, padding included, and the logits that came back."""
        # Exact, not rounded up: the batch is whole, so Triton does not have to find others of its shape.
        ids, masks = [w.ids for w in batch], [w.mask for w in batch]
        inputs = pad_batch(ids, batch[0].manifest.pad_token_id, max(map(len, ids)), masks)
        infer = self._infer_student if batch[0].student else self._infer
        if self.spans is not None:
            return inputs["input_ids"].size, await self.spans.call(batch, inputs, infer)
        return inputs["input_ids"].size, await infer(batch[0].version, inputs)

    def _settle(self, batch: list[Waiting], rows: list[Row | ModelFailedError]) -> None:
        for waiting, row in zip(batch, rows, strict=True):
            if isinstance(row, ModelFailedError):
                # It may be a neighbour's doing: where a batch shares a scale, one NaN makes all of them NaN.
                self._try_alone([waiting]) if len(batch) > 1 else self._fail([waiting], row)
            elif not waiting.row.done():
                waiting.row.set_result(row)

    def _note(self, batch: list[Waiting], padded_tokens: int, start: float) -> None:
        now, tokens = time.perf_counter(), tokens_of(batch)
        self._pace.call_ended(now, tokens)
        if self._observer is not None:
            try:
                self._observer.called(len(batch), tokens, padded_tokens, [start - w.since for w in batch], now - start)
            except Exception:
                logger.exception("A call to Triton could not be counted.")

    def _fail_alone(self, batch: list[Waiting], error: GatewayError) -> None:
        """One sentence may have done it (a token the graph does not know): it must not cost its neighbours."""
        self._try_alone(batch) if len(batch) > 1 else self._fail(batch, error)

    def _try_alone(self, batch: list[Waiting]) -> None:
        for waiting in batch:
            if not waiting.row.done():
                waiting.alone = True
                self._enqueue(waiting)

    @staticmethod
    def _fail(batch: list[Waiting], error: GatewayError) -> None:
        for waiting in batch:
            if not waiting.row.done():
                waiting.row.set_exception(error)
