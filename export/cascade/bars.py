"""From which confidence on may the student answer? The lowest bar that is shown to keep its promise.

The promise: the student answers, and answers otherwise than the model, on at most delta of *all* sentences. Counted on
`n` held-out sentences, that share has a one-sided 95 % bound (`repository.binomial`). Many bars are tried on the same
sentences, and the best of many is too good by luck. So they stand in an order that is fixed before anything is counted,
from the strictest down, and the first whose bound is past delta ends the trial: the last one before it is taken. Then
the chance that the chosen bar breaks the promise is at most 5 %, as it is for one bar alone. To take it, the first bar
in the order that breaks the promise would have to pass, and that has a chance of 5 %.

Sources: fixed sequence testing, section 4 of Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test"
(arXiv:2110.01052); the same for a share that can only grow as the bar falls, in Bates and others, "Distribution-Free,
Risk-Controlling Prediction Sets" (arXiv:2101.02703).
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from repository.binomial import CONFIDENCE, fewest_cases, upper_bound
from repository.cascade import CascadeBar, CascadeFigures
from repository.inference import Float32Array, scores
from repository.manifest import ProblemType

Bools = npt.NDArray[np.bool_]

# Log-odds 9 to -3 in tenths: 0.99988 to 0.047. No sentence is looked at for that: an order made of the sentences
# themselves would be no fixed one. At last 0, where the student answers everything.
BARS = (*(round(1 / (1 + math.exp(-tenths / 10)), 6) for tenths in range(90, -31, -1)), 0.0)

# The stricter bars of a manifest: those where the student answers at most so much of what it does at the chosen one.
STRICTER_SHARES = (0.75, 0.5, 0.25)


class NoCascadeError(Exception):
    """The student cannot answer for the model; says why, as the end of a sentence."""


def confidences(logits: Float32Array, temperature: float) -> Float32Array:
    """The largest probability of each row of `[sentences, labels]`, computed as the gateway does."""
    return np.asarray(scores(logits / temperature, ProblemType.SINGLE_LABEL).max(axis=1), dtype=np.float32)


def figures_at(bar: float, confidence: Float32Array, agrees: Bools) -> CascadeFigures:
    """What the student does with these sentences at a bar.

    Args:
        bar: least confidence with which it answers.
        confidence: its confidence `[sentences]`.
        agrees: whether its label is the model's `[sentences]`.
    """
    answers = confidence >= bar
    disagreed = int((answers & ~agrees).sum())
    bound = _bound(disagreed, len(agrees))
    return CascadeFigures(
        sentences=len(agrees), answered=int(answers.sum()), disagreed=disagreed, upper_bound=round(bound, 6)
    )


def choose_bars(confidence: Float32Array, agrees: Bools, delta: float) -> list[CascadeBar]:
    """The lowest bar that keeps the promise, then stricter ones.

    Args:
        confidence: the student's on held-out sentences, `[sentences]`.
        agrees: whether its label is the model's, `[sentences]`.
        delta: most of all sentences on which it may answer otherwise.

    Raises:
        NoCascadeError: the sentences carry no bar.
    """
    count, needed = len(agrees), fewest_cases(delta)
    if count < needed:
        raise NoCascadeError(
            f"there are {count} sentences to choose a bar on, and it takes {needed} without a single disagreement to "
            f"show {delta:.2%} with {CONFIDENCE:.0%} confidence"
        )
    passed: list[CascadeBar] = []
    for bar in BARS:
        found = figures_at(bar, confidence, agrees)
        if _bound(found.disagreed, count) > delta:
            break
        passed.append(CascadeBar(bar=bar, **found.model_dump()))
    if not passed or not passed[-1].answered:
        raise NoCascadeError(
            f"no bar carries {delta:.2%} on {count} sentences: to {int((~agrees).sum())} of them the student gives "
            "another label than the model, and it is no less sure of those"
        )
    chosen = passed[-1]
    stricter: list[CascadeBar] = []
    for share in STRICTER_SHARES:
        enough = [bar for bar in passed if 0 < bar.answered <= share * chosen.answered]
        if enough and enough[-1].bar not in [bar.bar for bar in stricter]:
            stricter.append(enough[-1])
    return [chosen, *stricter]


@cache
def _bound(count: int, cases: int) -> float:
    return upper_bound(count, cases)
