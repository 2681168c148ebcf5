"""Was a promise kept where its figure was measured?"""

from collections.abc import Mapping
from dataclasses import dataclass

from launcher.promises.slo import UNITS, Promises


@dataclass(frozen=True)
class Verdict:
    """One promise, held against what was measured."""

    name: str
    measured: float
    at_most: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether the figure is no more than was promised; one that is no number keeps nothing."""
        return self.measured <= self.at_most

    def __str__(self) -> str:
        """One line."""
        word = "kept" if self.is_kept else "missed"
        return f"{word}: {self.name}, {self.measured:.4g}{self.unit} where {self.at_most:g}{self.unit} is promised"


def verdicts(promises: Promises, figures: Mapping[str, float]) -> list[Verdict]:
    """A verdict on each promise whose figure was measured.

    Args:
        promises: what is promised.
        figures: what was measured, by the names that the file has for figures.
    """
    return [
        Verdict(promise.name, figures[promise.figure], promise.at_most, UNITS[promise.figure])
        for promise in promises.promises
        if promise.figure in figures
    ]
