"""How do texts come in, from a list, a generator or an async iterator? In batches, none of which waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

from text_classifier_client.batching import Batch, Cutter, batches

LINGER_S = 0.02
"""How long texts of an async iterator wait for the next one before they are asked without it."""


async def in_batches(texts: Iterable[object] | AsyncIterable[object], cutter: Cutter) -> AsyncGenerator[Batch, None]:
    """The texts in batches, in order. What comes slowly, from an async iterator, goes out in smaller ones."""
    if isinstance(texts, AsyncIterable):
        source = aiter(texts)
        try:
            async for batch in _as_they_come(source, cutter):
                yield batch
        finally:
            if hasattr(source, "aclose"):
                await source.aclose()
    else:
        for batch in batches(texts, cutter):
            yield batch


async def _as_they_come(source: AsyncIterator[object], cutter: Cutter) -> AsyncIterator[Batch]:
    upcoming: asyncio.Future[Any] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(source))
            await asyncio.wait({upcoming}, timeout=LINGER_S if cutter.holds else None)
            if not upcoming.done():
                yield cutter.flush()
                continue
            found, upcoming = upcoming.result(), None
            if not found:
                break
            if (before := cutter.add(found[0])) is not None:
                yield before
            if cutter.is_full:
                yield cutter.flush()
    except Exception:
        if cutter.holds:
            yield cutter.flush()  # what came before is good
        raise
    else:
        if cutter.holds:
            yield cutter.flush()
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _next(source: AsyncIterator[object]) -> tuple[object] | None:
    """The next one, in a tuple; None at the end: a future cannot hold a StopAsyncIteration."""
    try:
        return (await anext(source),)
    except StopAsyncIteration:
        return None
