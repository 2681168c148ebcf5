"""Which of the versions that Triton serves should answer? The newest that every Triton behind the address serves.

Tritons take in a new version seconds apart. A gateway that switched at the first sight of it would send all its calls
to the few that have it, and one that followed whichever Triton it met would go back and forth.
"""

import asyncio
import time
from collections.abc import Sequence

from gateway.errors import NotReadyError
from gateway.triton import TritonClient

SPREAD_S = 15.0
"""How long a version that some Triton lacks is waited for: a poll of the bucket, a copy, Triton's poll, a load."""

PROBING_S = 1.0


class Spread:
    """Tells versions that are everywhere from those that are still on their way."""

    def __init__(self, triton: TritonClient) -> None:
        self._triton = triton
        self._everywhere: set[int] = set()
        self._since: dict[int, float] = {}

    def lost(self, version: int) -> None:
        """No Triton that could be met served the version when it was asked."""
        self._everywhere.discard(version)
        self._since[version] = time.monotonic()

    async def in_order(self, ready: Sequence[int], current: int | None) -> list[int]:
        """The versions in the order in which they should be tried, those that are not everywhere last.

        Args:
            ready: versions that some Triton serves, newest first.
            current: the version that answers; it is kept, unless it was lost.
        """
        self._everywhere &= set(ready)
        self._since = {number: since for number, since in self._since.items() if number in ready}
        if current is not None and current not in self._since:
            self._everywhere.add(current)
        first: list[int] = []
        last: list[int] = []
        for number in ready:
            is_older = current is not None and number < current and number not in self._since
            is_usable = len(ready) == 1 or is_older or await self._is_everywhere(number)
            (first if is_usable else last).append(number)
        return first + last

    async def _is_everywhere(self, number: int) -> bool:
        if number in self._everywhere:
            return True
        since = self._since.setdefault(number, time.monotonic())
        if time.monotonic() - since < SPREAD_S and not await self._probe(number):
            return False
        self._everywhere.add(number)
        del self._since[number]
        return True

    async def _probe(self, number: int) -> bool:
        try:
            async with asyncio.timeout(PROBING_S):
                return await self._triton.is_everywhere(number)
        except (NotReadyError, TimeoutError):
            return False
