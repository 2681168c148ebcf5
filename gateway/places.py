"""How many sentences of a request count as waiting before they are submitted?"""

from collections.abc import Callable
from typing import Self


class Places:
    """What one request takes of the bound on waiting sentences while they are not submitted; given back at the end."""

    def __init__(self, hold: Callable[[int], None], sentences: int) -> None:
        self._hold = hold
        self._held = 0
        self.hold(sentences)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hold(0)

    def hold(self, sentences: int) -> None:
        """Hold so many places from now on: none once the sentences are submitted, which then count themselves."""
        self._hold(sentences - self._held)
        self._held = sentences
