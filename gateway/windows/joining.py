"""How do the answers to the windows of one text become its answer? Their logits are joined, then scored once."""

from collections.abc import Callable, Sequence

import numpy as np

from gateway.cascade import Answered
from gateway.windows.choices import WindowJoin
from repository.inference import scores
from repository.manifest import ProblemType
from repository.meaning.arithmetic import Float64Array

_JOINS: dict[WindowJoin, Callable[[Float64Array], Float64Array]] = {
    "mean": lambda logits: logits.mean(axis=0),
    "max": lambda logits: logits.max(axis=0),
    "first-last": lambda logits: (logits[0] + logits[-1]) / 2,
}


def joined(windows: Sequence[Answered], join: WindowJoin, problem_type: ProblemType) -> Answered:
    """The answer to a text from those to its windows, in the order of the text; the only one stays as it is.

    Logits `[windows, labels]` are joined in float64, so that the answer is the same in whatever order they came; then
    comes one softmax, or sigmoid. A regression's outputs are joined as they are.
    """
    if len(windows) == 1:
        return windows[0]
    logits = _JOINS[join](np.array([window.logits for window in windows], dtype=np.float64))
    return Answered(
        logits.astype(np.float32),
        scores(logits, problem_type),
        max(window.waited_s for window in windows),
        windows[0].by,
    )
