"""How does a request get its answer? Attempt after attempt, hedged where it is slow, until one is final."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from text_classifier_client.config import Config
from text_classifier_client.errors import ConnectionFailedError, DeadlineError
from text_classifier_client.hedging import Hedging
from text_classifier_client.retrying import PASSING, TOO_SLOW, Backoff, Failure, told_s
from text_classifier_client.wire import NoReplyError, Reply, Wire

Result = TypeVar("Result")


class Deadline:
    """When a call has to be over.

    Attributes:
        seconds: given for it; None for as long as it takes.
        last: what the last attempt came to, if it failed.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds
        self.last = ""

    def left_s(self) -> float | None:
        """Seconds that are left; None without a deadline."""
        return None if self._at is None else self._at - time.monotonic()

    async def bound(self, call: Coroutine[Any, Any, Result]) -> Result:
        """What the call comes to.

        Raises:
            DeadlineError: the deadline came first.
        """
        try:
            async with asyncio.timeout(self.left_s()):
                return await call
        except TimeoutError:
            raise DeadlineError(self.passed()) from None

    def passed(self) -> str:
        """What to say when it has passed, or would before another attempt."""
        after = f": {self.last}" if self.last else "."
        return f"There was no answer within the deadline of {self.seconds:g} seconds{after}"


class Exchange:
    """Of one client: so many requests at a time, each retried and hedged as it was set up."""

    def __init__(self, config: Config) -> None:
        self._wire = Wire(config)
        self._backoff = Backoff(config.retries)
        self._hedging = Hedging(config.hedge_after, config.hedge_share)
        self._places = asyncio.Semaphore(config.concurrency)

    async def ask(self, path: str, body: bytes, texts: int, deadline: Deadline) -> Reply:
        """The final answer to a request: not one that may be another in a moment, unless retries are used up.

        Args:
            path: below the base URL.
            body: JSON.
            texts: how many are in it.
            deadline: before which a retry has to come, else there is none.

        Raises:
            ConnectionFailedError: no attempt brought an answer.
            DeadlineError: the next attempt would be after the deadline.
        """
        failures = 0
        while True:
            reply, error = None, None
            try:
                async with self._places:
                    reply = await self._attempt(path, body, texts)
            except NoReplyError as caught:
                error = caught
            if reply is not None and (reply.status not in PASSING or (reply.status == TOO_SLOW and texts > 1)):
                return reply
            failures += 1
            deadline.last = str(error) if reply is None else f"the last attempt got status {reply.status}."
            wait = None if error is not None and error.is_final else self._wait_s(failures, reply, error)
            if wait is None:
                return _given_up(reply, error, failures)
            left = deadline.left_s()
            if left is not None and wait >= left:
                raise DeadlineError(deadline.passed())
            await asyncio.sleep(wait)

    def _wait_s(self, failures: int, reply: Reply | None, error: NoReplyError | None) -> float | None:
        told = None if reply is None else told_s(reply.headers)
        return self._backoff.wait_s(failures, Failure(told, error is not None and error.dropped))

    async def _attempt(self, path: str, body: bytes, texts: int) -> Reply:
        """One answer, of one request or of two."""
        after_s = self._hedging.delay_s(texts)
        start = time.monotonic()
        if after_s is None:
            reply = await self._wire.post(path, body)
        else:
            reply = await self._hedged(path, body, after_s)
        if reply.status == 200:
            self._hedging.answered(texts, time.monotonic() - start)
        return reply

    async def _hedged(self, path: str, body: bytes, after_s: float) -> Reply:
        """The first final answer of two requests, the second of which is sent when the first is slow."""
        asked = [asyncio.ensure_future(self._wire.post(path, body))]
        try:
            await asyncio.wait(asked, timeout=after_s)
            if not asked[0].done() and self._hedging.take():
                asked.append(asyncio.ensure_future(self._wire.post(path, body)))
            waiting = set(asked)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    if each.exception() is None and each.result().status not in PASSING:
                        return each.result()
            return asked[0].result()
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()


def _given_up(reply: Reply | None, error: NoReplyError | None, failures: int) -> Reply:
    if reply is not None:
        return reply
    times = f"{failures} attempts failed. The last: " if failures > 1 else ""
    raise ConnectionFailedError(f"{times}{str(error).rstrip('.')}.") from None
