"""Both clients behind one call, so that each test holds for both."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from tests.faulty_server import FaultyServer
from text_classifier_client import AsyncClient, Client

KINDS = ("sync", "async")
both = pytest.mark.parametrize("kind", KINDS)


def classify(
    kind: str, server: FaultyServer | str, texts: Any, settings: dict[str, Any] | None = None, **call: Any
) -> Any:
    """What a new client of that kind answers; a list of what an iterator gives."""
    url = server if isinstance(server, str) else server.url
    if kind == "sync":
        with Client(url, **settings or {}) as client:
            found: Any = client.classify(texts, **call)
            return list(found) if isinstance(found, Iterator) else found

    async def ask() -> Any:
        async with AsyncClient(url, **settings or {}) as client:
            found: Any = client.classify(texts, **call)
            return [each async for each in found] if isinstance(found, AsyncIterator) else await found

    return asyncio.run(ask())


def labels(answers: Iterable[Any]) -> list[Any]:
    """The label of each; what else came in its place."""
    return [getattr(answer, "label", answer) for answer in answers]
