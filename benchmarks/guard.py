"""Is a result slower than an earlier one, beyond noise? Compares what both measured in pairs, as ratios."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 4000
SEED = 0
CONFIDENCE = 0.95


class GuardError(RuntimeError):
    """Two results cannot be compared; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """How one figure of B stands to the same of A."""

    name: str
    before: float
    after: float
    """Medians of the paired ratios (or differences in ms)."""
    low: float
    high: float
    """Bounds of the change, B less A, that hold with the stated confidence."""
    worse: bool
    """The whole range is on the bad side."""


def compare(before: Path, after: Path) -> list[Verdict]:
    """Compare the paired figures of two result folders.

    A pair was measured one side right after the other, so that its ratio is free of what the machine did otherwise.
    The change of the median is bounded by a bootstrap: pairs are drawn anew, with replacement, from each side.

    Raises:
        GuardError: a folder holds no results, or they have no figure in common.
    """
    sides = [_paired(before), _paired(after)]
    common = [name for name in sides[0] if name in sides[1]]
    if not common:
        raise GuardError(f"{before} and {after} have no paired figure in common")
    return [_verdict(name, sides[0][name], sides[1][name]) for name in common]


def _paired(folder: Path) -> dict[str, tuple[bool, list[float]]]:
    path = folder / "results.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise GuardError(f"{path} cannot be read: {error}") from None
    return {
        entry["name"]: (
            entry["difference"],
            [ours - limit if entry["difference"] else ours / limit for ours, limit in entry["pairs"]],
        )
        for entry in content.get("gateway", [])
    }


def _verdict(name: str, before: tuple[bool, list[float]], after: tuple[bool, list[float]]) -> Verdict:
    less_is_better = before[0]
    chance = np.random.default_rng(SEED)
    medians = [
        np.median(chance.choice(figures, (RESAMPLES, len(figures))), axis=1) for figures in (before[1], after[1])
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(bound) for bound in np.quantile(medians[1] - medians[0], (tail, 1 - tail)))
    worse = low > 0 if less_is_better else high < 0
    return Verdict(name, statistics.median(before[1]), statistics.median(after[1]), low, high, worse)
