"""From texts to answers, batch after batch: the one implementation behind both clients, on an event loop."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from text_classifier_client.answers import Answer, answers_of
from text_classifier_client.batching import Batch, Cutter
from text_classifier_client.config import Config
from text_classifier_client.errors import ClosedError, TextError
from text_classifier_client.exchange import Deadline, Exchange
from text_classifier_client.options import fields_of
from text_classifier_client.refusals import TOO_LONG, error_of, is_too_much, place_of, text_error
from text_classifier_client.sources import in_batches
from text_classifier_client.texts import Pair, Text, checked, refuse_odd
from text_classifier_client.wire import Reply

Outcome = Answer | TextError


@dataclass(frozen=True)
class Asked:
    """What one call asks of all its texts."""

    fields: Mapping[str, Any]
    deadline_s: float | None
    raises: bool

    @property
    def model(self) -> str | None:
        """The model that is named."""
        model: str | None = self.fields.get("model")
        return model


class Core:
    """Of one client."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._exchange = Exchange(config)
        self._most_texts = config.batch_size
        self._closed = False

    @property
    def window(self) -> int:
        """Batches that may be under way: one more than are asked at a time, so that the next one is ready."""
        return self.config.concurrency + 1

    def asked(self, on_error: str, deadline_s: float | None, options: Mapping[str, Any]) -> Asked:
        """What a call asks. Raises TypeError or ValueError where that is nothing that can be asked."""
        if on_error not in ("raise", "return"):
            raise ValueError(f'on_error is {on_error!r}: give "raise" or "return"')
        if deadline_s is None:
            deadline_s = self.config.deadline
        elif not deadline_s > 0:
            raise ValueError(f"deadline is {deadline_s!r}: give seconds, more than 0")
        return Asked(fields_of(options, self.config.model), deadline_s, on_error == "raise")

    def cutter(self, asked: Asked) -> Cutter:
        """Cuts texts into batches of the size that the server takes, as far as that is known."""
        return Cutter(lambda: self._most_texts, asked.raises)

    async def one(self, text: object, asked: Asked) -> Outcome:
        """The answer to one text, which makes a request by itself."""
        try:
            texts = [checked(text, 0)]
        except TextError as error:
            if asked.raises:
                raise
            return error
        deadline = Deadline(asked.deadline_s)
        (outcome,) = await deadline.bound(self._outcomes(texts, [0], asked, deadline))
        return outcome

    async def all(self, texts: Sequence[object], asked: Asked) -> list[Outcome]:
        """The answers to texts that are all there, in their order; the deadline is that of all of them together."""
        if asked.raises:
            for index, text in enumerate(texts):
                checked(text, index)  # before the first request, not after the thousandth
        deadline = Deadline(asked.deadline_s)
        return await deadline.bound(self._gathered(texts, asked, deadline))

    async def _gathered(self, texts: Sequence[object], asked: Asked, deadline: Deadline) -> list[Outcome]:
        outcomes = self._in_order(in_batches(texts, self.cutter(asked)), asked, deadline)
        async with aclosing(outcomes):
            return [outcome async for outcome in outcomes]

    def stream(self, texts: Iterable[object] | AsyncIterable[object], asked: Asked) -> AsyncIterator[Outcome]:
        """The answers to texts as they come, in their order; each batch has a deadline of its own."""
        refuse_odd(texts)
        return self._in_order(in_batches(texts, self.cutter(asked)), asked, None)

    async def _in_order(
        self, source: AsyncGenerator[Batch, None], asked: Asked, deadline: Deadline | None
    ) -> AsyncGenerator[Outcome, None]:
        """Holds `window` batches at most, however fast texts come and however slowly answers are taken."""
        pending: deque[asyncio.Task[list[Outcome]]] = deque()
        upcoming: asyncio.Task[Batch | None] | None = None
        is_over, failure = False, None
        try:
            while True:
                if upcoming is None and not is_over and len(pending) < self.window:
                    upcoming = asyncio.ensure_future(_next(source))
                waiting: list[asyncio.Task[Any]] = [each for each in (upcoming, *list(pending)[:1]) if each is not None]
                if not waiting:
                    break
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if upcoming is not None and upcoming.done():
                    failure, taken, upcoming = upcoming.exception(), upcoming, None
                    batch = None if failure is not None else taken.result()
                    is_over = batch is None
                    if batch is not None:
                        pending.append(asyncio.ensure_future(self.batch(batch, asked, deadline)))
                elif pending[0].done():
                    for outcome in pending.popleft().result():
                        yield outcome
            if failure is not None:
                raise failure  # in its place: all that came before it is answered
        finally:
            begun = [*pending, *([upcoming] if upcoming is not None else [])]
            for each in begun:
                each.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            await source.aclose()

    async def batch(self, batch: Batch, asked: Asked, deadline: Deadline | None = None) -> list[Outcome]:
        """The outcomes of a batch's members, in order; with a deadline of its own unless one is given."""
        outcomes: dict[int, Outcome] = {error.index: error for error in batch.refused}
        if batch.texts:
            own = deadline or Deadline(asked.deadline_s)
            call = self._outcomes(batch.texts, batch.places, asked, own)
            answered = await (own.bound(call) if deadline is None else call)
            outcomes.update(zip(batch.places, answered, strict=True))
        return [outcomes[place] for place in sorted(outcomes)]

    async def _outcomes(
        self, texts: Sequence[Text], places: Sequence[int], asked: Asked, deadline: Deadline
    ) -> list[Outcome]:
        """The outcome of each text: texts that the server refuses are taken out until it answers the rest."""
        refused: dict[int, Outcome] = {}
        left = list(range(len(texts)))
        answered: list[Outcome] = []
        while left:
            asked_now = [texts[each] for each in left]
            reply = await self._ask(asked_now, asked, deadline)
            if reply.status == 200:
                answered += answers_of(reply.body, reply.headers, len(left), asked.model)
                break
            bad = place_of(reply, len(left))
            if bad is not None:
                error = text_error(reply, places[left[bad]])
                if asked.raises:
                    raise error
                refused[left.pop(bad)] = error
            elif is_too_much(reply, len(left)):
                answered = await self._in_halves(asked_now, [places[each] for each in left], asked, deadline, reply)
                break
            else:
                raise error_of(reply)
        found = refused | dict(zip(left, answered, strict=True))
        return [found[each] for each in range(len(texts))]

    async def _in_halves(
        self, texts: Sequence[Text], places: Sequence[int], asked: Asked, deadline: Deadline, reply: Reply
    ) -> list[Outcome]:
        """The same in two requests, one after the other; batches from then on are no larger if that was the reason."""
        half = (len(texts) + 1) // 2
        found = await self._outcomes(texts[:half], places[:half], asked, deadline)
        found += await self._outcomes(texts[half:], places[half:], asked, deadline)
        if reply.status != TOO_LONG or not any(isinstance(each, TextError) for each in found):
            self._most_texts = min(self._most_texts, half)
        return found

    async def _ask(self, texts: Sequence[Text], asked: Asked, deadline: Deadline) -> Reply:
        return await self.ask("classify", {**_texts(texts), **asked.fields}, len(texts), deadline)

    async def ask(self, path: str, content: Mapping[str, Any], texts: int, deadline: Deadline) -> Reply:
        """The final answer to a request of any kind; see `Exchange.ask`."""
        if self._closed:
            raise ClosedError("The client is closed.")
        return await self._exchange.ask(path, _encoded(content), texts, deadline)

    async def feedback(self, fields: Mapping[str, Any], deadline_s: float | None) -> None:
        """Tell what would have been right."""
        deadline = Deadline(deadline_s or self.config.deadline)
        reply = await deadline.bound(self.ask("feedback", fields, 1, deadline))
        if reply.status != 200:
            raise error_of(reply)

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._exchange.aclose()


async def _next(source: AsyncIterator[Batch]) -> Batch | None:
    return await anext(source, None)


def _texts(texts: Sequence[Text]) -> dict[str, Any]:
    if isinstance(texts[0], Pair):
        return {"pairs": [(each.first, each.second) for each in texts if isinstance(each, Pair)]}
    return {"sentences": texts}


def _encoded(content: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, of which the server says what it thinks
        return json.dumps(content, allow_nan=False).encode()
