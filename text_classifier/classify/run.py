"""From rows to printed answers, in their order, while rows may still come in."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from text_classifier.classify.reading import Row
from text_classifier_client import Answer, AsyncClient, TextError

READ_AHEAD = 512
"""Rows that wait to be asked."""


class RowError(Exception):
    """A row whose text cannot be classified; the message says which and why."""


@dataclass
class Counts:
    """What became of the rows."""

    answered: int = 0
    blank: int = 0
    refused: int = 0


Emit = Callable[[Row, Answer | TextError | None], None]


async def classify_rows(
    client: AsyncClient, rows: Iterator[Row], options: Any, deadline_s: float | None, keeps: bool, emit: Emit, idle: Any
) -> Counts:
    """Ask all rows.

    Args:
        client: that asks.
        rows: read on a thread, for they may come from a terminal or a pipe.
        options: of each request.
        deadline_s: seconds for each batch.
        keeps: go on after a text that cannot be classified.
        emit: takes each row and its outcome, in order; None for a row without a text.
        idle: called when all rows so far are answered.

    Raises:
        RowError: a text cannot be classified, and `keeps` is false.
        UsageError, ClassifierError: what reading and asking raise.
    """
    counts, waiting = Counts(), deque[Row]()

    def blank() -> None:
        counts.blank += 1
        emit(waiting.popleft(), None)

    async def texts() -> AsyncIterator[str]:
        async with contextlib.aclosing(_on_thread(rows)) as source:
            async for row in source:
                waiting.append(row)
                if not row.is_blank:
                    yield row.text
                elif len(waiting) == 1:
                    blank()

    outcomes = client.classify(texts(), on_error="return", deadline=deadline_s, **options)
    async for outcome in outcomes:
        while waiting[0].is_blank:
            blank()
        row = waiting.popleft()
        if isinstance(outcome, Answer):
            counts.answered += 1
        elif keeps:
            counts.refused += 1
        else:
            raise RowError(f"{row.place}: {outcome.says} With --on-error keep the others are answered all the same.")
        emit(row, outcome)
        while waiting and waiting[0].is_blank:
            blank()
        if not waiting:
            idle()
    return counts


async def _on_thread(rows: Iterator[Row]) -> AsyncGenerator[Row, None]:
    """The rows, read by a thread that a program may end without."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Row | BaseException | None] = asyncio.Queue()
    room = threading.Semaphore(READ_AHEAD)

    def read() -> None:
        last: BaseException | None = None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            try:
                for row in rows:
                    room.acquire()
                    loop.call_soon_threadsafe(arrived.put_nowait, row)
            except Exception as error:
                last = error
            loop.call_soon_threadsafe(arrived.put_nowait, last)

    threading.Thread(target=read, daemon=True).start()
    while isinstance(found := await arrived.get(), Row):
        room.release()
        yield found
    if found is not None:
        raise found
