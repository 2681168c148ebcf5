"""Is a result slower than an earlier one, beyond noise? Compares what both measured in pairs, as ratios."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 4000
SEED = 0
CONFIDENCE = 0.95
LEAST_PAIRS = 5
"""Fewer give a bootstrap too little to draw from: of two pairs it called one figure in six slower that was not."""
RUN_SPREAD = 0.03
RUN_SPREAD_MS = 0.25
"""How far the same code comes out from one run to the next, as a share of a ratio and in ms of a difference: one
standard deviation. An assumption, on the careful side, which more runs on a side correct."""
ASSUMED_RUNS = 3
"""How many runs the assumption weighs as much as: two alone would often be near each other by chance."""


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


def compare(before: Sequence[Path], after: Sequence[Path]) -> list[Verdict]:
    """Compare the paired figures of two sides, each of one result folder or several of the same code.

    A pair was measured one side right after the other, so that its ratio is free of what the machine did otherwise.
    The change of the median is bounded by a bootstrap: pairs are drawn anew, with replacement, from each run. What a
    run as a whole is off by, which its pairs have in common, is added: `RUN_SPREAD`, corrected by how far apart the
    runs of a side are.

    Raises:
        GuardError: a folder holds no results, or too few pairs, or they have no figure in common.
    """
    sides = [[_paired(folder) for folder in folders] for folders in (before, after)]
    names = [name for name in sides[0][0] if all(name in run for side in sides for run in side)]
    if not names:
        raise GuardError(f"{before[0]} and {after[0]} have no paired figure in common")
    return [_verdict(name, *([run[name] for run in side] for side in sides)) for name in names]


def _paired(folder: Path) -> "dict[str, tuple[bool, list[float]]]":
    path = folder / "results.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise GuardError(f"{path} cannot be read: {error}") from None
    figures = {}
    for entry in content.get("gateway", []):
        if len(entry["pairs"]) < LEAST_PAIRS:
            raise GuardError(
                f"{path} has {len(entry['pairs'])} pairs a figure; fewer than {LEAST_PAIRS} cannot tell a change from "
                "chance: `make bench` measures enough, QUICK=1 does not"
            )
        pairs = [ours - limit if entry["difference"] else ours / limit for ours, limit in entry["pairs"]]
        figures[entry["name"]] = (bool(entry["difference"]), pairs)
    return figures


Runs = list[tuple[bool, list[float]]]


def _verdict(name: str, before: Runs, after: Runs) -> Verdict:
    less_is_better = before[0][0]
    chance = np.random.default_rng(SEED)
    medians = [_resampled([figures for _, figures in runs], less_is_better, chance) for runs in (before, after)]
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(bound) for bound in np.quantile(medians[1] - medians[0], (tail, 1 - tail)))
    worse = low > 0 if less_is_better else high < 0
    return Verdict(name, _median(before), _median(after), low, high, worse)


def _resampled(runs: list[list[float]], is_difference: bool, chance: np.random.Generator) -> npt.NDArray[np.float64]:
    """Medians `[RESAMPLES]` that runs like these might have given, the mean of as many runs."""
    drawn = [np.median(chance.choice(figures, (RESAMPLES, len(figures))), axis=1) for figures in runs]
    medians = [statistics.median(figures) for figures in runs]
    center = statistics.mean(medians)
    assumed = RUN_SPREAD_MS if is_difference else RUN_SPREAD * abs(center)
    seen = sum((median - center) ** 2 for median in medians)
    variance = (ASSUMED_RUNS * assumed**2 + seen) / (ASSUMED_RUNS + len(runs) - 1)
    noise = chance.normal(0.0, math.sqrt(variance / len(runs)), RESAMPLES)
    return np.asarray(np.mean(drawn, axis=0) + noise)


def _median(runs: Runs) -> float:
    return statistics.mean(statistics.median(figures) for _, figures in runs)
