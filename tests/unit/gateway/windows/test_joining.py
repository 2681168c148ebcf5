"""One answer from those to the windows: joined logits, then one softmax or sigmoid."""

import itertools

import numpy as np
import pytest

from gateway.cascade import Answered
from gateway.windows.choices import WindowJoin
from gateway.windows.joining import joined
from repository.manifest import ProblemType

LOGITS = [[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.0, 4.0]]
EXPECTED: dict[WindowJoin, list[float]] = {
    "mean": [1.0, 1.0, 2.5 / 3],
    "max": [2.0, 3.0, 4.0],
    "first-last": [1.5, 0.0, 2.25],
}


def answers(logits: list[list[float]]) -> list[Answered]:
    rows = np.array(logits, dtype=np.float32)
    return [Answered(row, row * 0, 0.1 * place, None) for place, row in enumerate(rows)]


@pytest.mark.parametrize("join", EXPECTED)
@pytest.mark.parametrize("problem_type", ProblemType)
def test_logits_are_joined_before_they_are_scored(join: WindowJoin, problem_type: ProblemType) -> None:
    found = joined(answers(LOGITS), join, problem_type)
    logits = np.array(EXPECTED[join])
    scores = {
        ProblemType.SINGLE_LABEL: np.exp(logits) / np.exp(logits).sum(),
        ProblemType.MULTI_LABEL: 1 / (1 + np.exp(-logits)),
        ProblemType.REGRESSION: logits,
    }[problem_type]
    assert found.logits == pytest.approx(logits, abs=1e-6)
    assert found.scores == pytest.approx(scores, abs=1e-6)
    assert (found.logits.dtype, found.scores.dtype) == (np.float32, np.float32)
    assert (found.waited_s, found.by) == (0.2, None)


def test_the_order_of_the_windows_does_not_change_a_bit_of_their_mean() -> None:
    logits = np.random.default_rng(0).normal(scale=1e3, size=(6, 3)).astype(np.float32)
    logits[0] *= 1e-7
    found = {
        joined(answers(list(order)), "mean", ProblemType.SINGLE_LABEL).logits.tobytes()
        for order in itertools.permutations(logits.tolist())
    }
    assert len(found) == 1


def test_the_only_window_stays_as_it_is() -> None:
    (only,) = answers([[5.0, 1.0]])
    assert joined([only], "max", ProblemType.SINGLE_LABEL) is only
