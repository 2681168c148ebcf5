"""The worst mistakes of a model on its test texts, each with the training texts that are most like it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.manifest import ProblemType
from training.data.examples import Example, Target
from training.figures.nearest import Likeness
from training.figures.scores import indicators, is_right

MOST = 50
NEAREST = 3


def losses(
    truth: Sequence[Target], scores: npt.NDArray[np.float32], labels: Sequence[str], task: ProblemType
) -> npt.NDArray[np.float64]:
    """Return how wrong each text's answer is.

    Returns:
        `[texts]`: of one label, the score of the answer (the surer a wrong answer, the worse); of several, the mean
        cross-entropy of their scores; of a number, the absolute error in its unit.
    """
    if task is ProblemType.SINGLE_LABEL:
        return np.asarray(scores.max(axis=1), dtype=np.float64)
    if task is ProblemType.REGRESSION:
        return np.asarray(np.abs(scores[:, 0].astype(np.float64) - np.array(truth, dtype=float)))
    true, sure = indicators(truth, labels), np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(-np.where(true, np.log(sure), np.log1p(-sure)).mean(axis=1))


def worst_mistakes(
    examples: Sequence[Example],
    predicted: Sequence[Target],
    scores: npt.NDArray[np.float32],
    labels: Sequence[str],
    task: ProblemType,
    trained: Sequence[Example],
    likeness: Likeness,
) -> dict[str, Any]:
    """Return the worst mistakes, worst first, with their texts: what holds it holds sentences of the data.

    Args:
        examples: the test texts.
        predicted: what was answered for each.
        scores: `[texts, labels]`.
        labels: in the order of the scores.
        task: what a target is; a regression's numbers are all off, and the largest errors are listed.
        trained: the training texts.
        likeness: how alike test and training texts are.
    """
    truth = [example.target for example in examples]
    loss = losses(truth, scores, labels, task)
    wrong = [place for place in range(len(examples)) if not is_right(truth[place], predicted[place])]
    worst = sorted(wrong, key=lambda place: -loss[place])[:MOST]
    near = likeness.nearest(worst, NEAREST)
    return {
        "wrong": len(wrong),
        "nearest_by": likeness.by,
        "worst": [
            {
                "row": examples[place].row,
                "text": examples[place].text,
                "language": examples[place].language,
                "truth": truth[place],
                "answer": predicted[place],
                "loss": float(loss[place]),
                "nearest": [
                    {"text": trained[other].text, "target": trained[other].target, "likeness": round(value, 3)}
                    for other, value in found
                ],
            }
            for place, found in zip(worst, near, strict=True)
        ],
    }
