"""A sentence that waits for its call to Triton: what it asks, and of whom."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.rows import Row
from repository.manifest import Manifest


@dataclass(eq=False, slots=True)
class Waiting:
    """One sentence."""

    version: int
    manifest: Manifest
    ids: Sequence[int]
    mask: Sequence[int] | None
    row: "asyncio.Future[Row]"
    since: float
    """When it came, by `time.perf_counter`."""
    tokens: int
    student: bool = False
    """Whether the version's student is asked, and not its model."""
    alone: bool = False
    """Its call failed in company: it has to be tried by itself."""
    trace: Any = None
    """The request that it is of, where that is recorded by `gateway.tracing`."""


def tokens_of(batch: Sequence[Waiting]) -> int:
    """Tokens of all of them, without padding."""
    return sum(waiting.tokens for waiting in batch)
