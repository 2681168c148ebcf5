"""Joins waiting sentences into calls to Triton: the oldest with its neighbours in length, several calls at a time.

There is no timer. While calls are free, what waits leaves at once, so a lone sentence never waits for company; while
all are under way, sentences gather, so that batches grow with the load by themselves.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from gateway.errors import DeadlineExceededError, GatewayError, ModelFailedError, OverloadedError
from gateway.pace import Pace
from repository.inference import Float32Array, Int64Array, pad_batch, scores
from repository.manifest import Manifest

SMALLEST_SHARE = 4
"""Fewer sentences than this are not spread over several calls: a call costs about as much as computing one sentence."""

CALL_TOKENS = 40
"""What a call costs beside its tokens, in tokens: HTTP, the way through Triton, and reading all weights once."""

EXPECTED_SHARE_OF_DEADLINE = 0.5
"""A sentence is refused if it would have to wait longer than this part of its deadline: what is let in gets answered,
although the estimate is rough and the batch it ends up in takes time, too."""


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
        waiting: most sentences that wait; more are refused.
        deadline_s: a call that takes longer is given up.
    """

    calls: int
    tokens: int
    sentences: int
    waiting: int
    deadline_s: float


class Row(NamedTuple):
    """Triton's answer to one sentence."""

    logits: Float32Array
    """`[labels]`"""
    scores: Float32Array
    """`[labels]`, by softmax or sigmoid as the version's manifest says."""
    waited_s: float
    """How long the sentence waited for its call."""


@dataclass(eq=False, slots=True)
class _Waiting:
    version: int
    manifest: Manifest
    ids: Sequence[int]
    mask: Sequence[int] | None
    row: "asyncio.Future[Row]"
    since: float
    alone: bool = field(default=False)
    """Its call failed in company: it has to be tried by itself."""


class Batcher:
    """Asks Triton for many waiting sentences at once. Belongs to one event loop."""

    def __init__(
        self,
        infer: Callable[[int, dict[str, Int64Array]], Awaitable[Float32Array]],
        limits: BatchLimits,
        observer: Observer | None = None,
    ) -> None:
        self._infer = infer
        self._limits = limits
        self._observer = observer
        self._waiting: dict[_Waiting, None] = {}  # ordered by arrival; a dict, so that one that hung up can leave
        self._waiting_tokens = 0
        self._calls: dict[asyncio.Task[None], int] = {}  # with the tokens of each
        self._scheduled = False
        self._closed = False
        self._pace = Pace()

    @property
    def waiting(self) -> int:
        """Sentences that are in no call yet."""
        return len(self._waiting)

    def expected_wait_s(self) -> float:
        """How long a sentence that comes now would wait, at the pace of the last calls.

        That is for what waits and for what is under way. 0 while nothing waits, whatever the pace: it is measured
        while something waits, so that one which is too slow could never be corrected if nothing were let in.
        """
        return self._pace.wait_s(self._waiting_tokens + sum(self._calls.values())) if self._waiting else 0.0

    def admit(self, sentences: int) -> None:
        """Refuse at once what could not be answered in time.

        Raises:
            OverloadedError: too many sentences wait already.
        """
        if (
            len(self._waiting) + sentences > self._limits.waiting
            or self.expected_wait_s() > EXPECTED_SHARE_OF_DEADLINE * self._limits.deadline_s
        ):
            raise OverloadedError(f"Too busy: {len(self._waiting)} sentences are waiting; try again shortly.")

    def submit(
        self, version: int, manifest: Manifest, ids: Sequence[int], mask: Sequence[int] | None = None
    ) -> "asyncio.Future[Row]":
        """The answer to one sentence, to be awaited; cancel it to give the place up.

        `mask` is its attention mask, all ones if None. It fails with a GatewayError: Triton is away or failed, the
        version is gone, a logit is no finite number.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(version, manifest, ids, mask, loop.create_future(), time.perf_counter())
        self._enqueue(waiting)
        waiting.row.add_done_callback(lambda _: self._forget(waiting))
        return waiting.row

    def close(self) -> None:
        """Give up what waits and what is under way; those who wait for it are cancelled."""
        self._closed = True
        for waiting in list(self._waiting):
            waiting.row.cancel()
        for call in self._calls:
            call.cancel()

    def _enqueue(self, waiting: _Waiting) -> None:
        self._waiting[waiting] = None
        self._waiting_tokens += len(waiting.ids)
        if not self._scheduled and len(self._calls) < self._limits.calls:
            # Later in this turn of the loop: what arrived with it shares the call.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _forget(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            del self._waiting[waiting]
            self._waiting_tokens -= len(waiting.ids)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._calls) < self._limits.calls and not self._closed:
            batch = self._take()
            call = asyncio.get_running_loop().create_task(self._call(batch))
            self._calls[call] = _tokens(batch)
            call.add_done_callback(self._finished)
        if self._waiting:
            self._pace.backlog_begins(time.perf_counter())
        else:
            self._pace.backlog_ends()

    def _finished(self, call: "asyncio.Task[None]") -> None:
        del self._calls[call]
        self._dispatch()

    def _take(self) -> list[_Waiting]:
        """The sentence that waits longest, and those of its version that are nearest to it in length."""
        oldest = next(iter(self._waiting))
        if oldest.alone:
            batch = [oldest]
        else:
            # Not all to one call: the others would have nothing to do while it computes.
            share = max(SMALLEST_SHARE, -(-len(self._waiting) // self._limits.calls))
            candidates = [w for w in self._waiting if w.version == oldest.version and not w.alone]
            batch = cheapest_batch(candidates, oldest, min(share, self._limits.sentences), self._limits.tokens)
        for waiting in batch:
            self._forget(waiting)
        return batch

    async def _call(self, batch: list[_Waiting]) -> None:
        start = time.perf_counter()
        # Exact, not rounded up: the batch is whole, so Triton does not have to find others of its shape.
        ids, masks = [w.ids for w in batch], [w.mask for w in batch]
        inputs = pad_batch(ids, batch[0].manifest.pad_token_id, max(map(len, ids)), masks)
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                logits = await self._infer(batch[0].version, inputs)
        except TimeoutError:
            self._pace.call_ended(time.perf_counter(), _tokens(batch))  # else the same load would be let in again
            self._fail(batch, DeadlineExceededError("Triton did not answer in time; try again later."))
            return
        except ModelFailedError as error:
            # One sentence may have done it (a token the graph does not know): it must not cost its neighbours.
            if len(batch) > 1:
                self._try_alone(batch)
            else:
                self._fail(batch, error)
            return
        except GatewayError as error:
            self._fail(batch, error)
            return
        except Exception:
            # Such as an answer that is none: without this, its sentences would wait until their deadline.
            logger.exception("A call to Triton failed in a way nobody foresaw.")
            self._fail(batch, ModelFailedError("Triton's answer could not be read; the gateway's log says why."))
            return
        self._answer(batch, logits, start)
        tokens = _tokens(batch)
        self._pace.call_ended(time.perf_counter(), tokens)
        if self._observer is not None:
            padded = inputs["input_ids"].size
            waited = [start - w.since for w in batch]
            self._observer.called(len(batch), tokens, padded, waited, time.perf_counter() - start)

    def _answer(self, batch: list[_Waiting], logits: Float32Array, start: float) -> None:
        # For the whole batch at once: NumPy costs as much for one row as for all of them.
        finite: list[bool] = np.isfinite(logits).all(axis=1).tolist()  # type: ignore[assignment]
        batch_scores = scores(logits, batch[0].manifest.problem_type)
        for row, waiting in enumerate(batch):
            if waiting.row.done():
                continue
            if finite[row]:
                waiting.row.set_result(Row(logits[row], batch_scores[row], start - waiting.since))
            else:
                error = f"Version {waiting.version} of the model gave a logit that is no finite number."
                waiting.row.set_exception(ModelFailedError(error))

    def _try_alone(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            if not waiting.row.done():
                waiting.alone = True
                self._enqueue(waiting)

    @staticmethod
    def _fail(batch: list[_Waiting], error: GatewayError) -> None:
        for waiting in batch:
            if not waiting.row.done():
                waiting.row.set_exception(error)


def _tokens(batch: list[_Waiting]) -> int:
    return sum(len(waiting.ids) for waiting in batch)


def cheapest_batch(candidates: Sequence[_Waiting], chosen: _Waiting, most: int, most_tokens: int) -> list[_Waiting]:
    """`chosen` and as many of its neighbours in length as make the batch cheapest for each token that is no padding.

    At most `most` sentences, and at most `most_tokens` with padding. A call costs as much as computing its padded
    tokens and `CALL_TOKENS` more, so that joining pays until the padding eats up what it saves.
    """
    ordered = sorted(candidates, key=lambda candidate: len(candidate.ids))
    lengths = [len(candidate.ids) for candidate in ordered]
    low = high = ordered.index(chosen)
    best, best_cost = (low, high), math.inf
    tokens = lengths[low]
    while True:
        size = high - low + 1
        padded = size * lengths[high]
        if size > most or (padded > most_tokens and size > 1):
            break
        cost = (CALL_TOKENS + padded) / tokens
        if cost < best_cost:
            best, best_cost = (low, high), cost
        shorter = lengths[low - 1] if low > 0 else -math.inf
        longer = lengths[high + 1] if high + 1 < len(ordered) else math.inf
        if shorter == -longer:
            break
        # Padding that each would add: to itself, or to all that are in already.
        if lengths[high] - shorter <= size * (longer - lengths[high]):
            low -= 1
            tokens += lengths[low]
        else:
            high += 1
            tokens += lengths[high]
    return ordered[best[0] : best[1] + 1]
