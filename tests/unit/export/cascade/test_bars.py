"""The bar is the lowest that keeps its promise, and keeps it as often as it says."""

import numpy as np
import pytest

from export.cascade.bars import BARS, NoCascadeError, choose_bars, confidences
from repository.binomial import upper_bound
from repository.inference import scores
from repository.manifest import ProblemType
from training.figures.fitted_scores import fit_temperature

DELTA = 0.005
DRAWS = 200
LABELS = 5


def some_sentences(chance: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A student's logits, of which it is too sure, and the model's labels.

    The model answers by the probabilities that the student would have at temperature 2.
    """
    logits = some_logits(chance, count)
    cumulated = np.cumsum(scores(logits / 2, ProblemType.SINGLE_LABEL), axis=1)
    answers = (chance.random((count, 1)) > cumulated[:, :-1]).sum(axis=1)
    return logits, answers


def some_logits(chance: np.random.Generator, count: int) -> np.ndarray:
    logits = chance.normal(0, 1, (count, LABELS)).astype(np.float32)
    logits[np.arange(count), chance.integers(0, LABELS, count)] += chance.gamma(4, 4, count).astype(np.float32)
    return logits


def test_a_student_that_is_too_sure_is_made_as_sure_as_it_is_right() -> None:
    logits, answers = some_sentences(np.random.default_rng(0), 20_000)
    assert fit_temperature(logits, answers) == pytest.approx(2, rel=0.05)
    confidence = confidences(logits, fit_temperature(logits, answers))
    assert confidence.mean() == pytest.approx((logits.argmax(axis=1) == answers).mean(), abs=0.01)


def test_the_promise_is_broken_by_one_export_in_twenty_at_most() -> None:
    """With the temperature fitted on the very sentences that choose the bar, as the export does."""
    chance = np.random.default_rng(1)
    all_logits = some_logits(chance, 40_000)
    # How likely the model disagrees, in place of whether it does: as if there were many more of them.
    disagrees = 1 - scores(all_logits / 2, ProblemType.SINGLE_LABEL).max(axis=1)
    broken = found = 0
    for _ in range(DRAWS):
        logits, answers = some_sentences(chance, 1000)
        temperature = fit_temperature(logits, answers)
        try:
            bar = choose_bars(confidences(logits, temperature), logits.argmax(axis=1) == answers, DELTA)[0].bar
        except NoCascadeError:
            continue
        found += 1
        broken += bool((disagrees * (confidences(all_logits, temperature) >= bar)).mean() > DELTA)
    assert found > DRAWS / 2
    # As many as 5 % may be; so many more by chance have a probability below 1 in 1,000.
    assert broken <= 21, f"{broken} of {found}"


def test_the_lowest_bar_whose_bound_keeps_the_promise_is_chosen() -> None:
    confidence = np.linspace(0, 1, 2000)
    agrees = np.ones(2000, dtype=bool)
    agrees[[100, 200, 300, 400, 500, 600, 700, 1500]] = False
    chosen = choose_bars(confidence, agrees, DELTA)[0]
    answered = confidence >= chosen.bar
    assert chosen.answered == answered.sum()
    assert chosen.disagreed == (answered & ~agrees).sum()
    assert chosen.upper_bound == pytest.approx(upper_bound(chosen.disagreed, 2000), abs=1e-6)
    assert chosen.upper_bound <= DELTA
    lower = BARS[BARS.index(chosen.bar) + 1]
    assert upper_bound(int((~agrees & (confidence >= lower)).sum()), 2000) > DELTA


def test_a_student_that_always_agrees_answers_everything() -> None:
    chosen = choose_bars(np.linspace(0.3, 1, 600), np.ones(600, dtype=bool), DELTA)[0]
    assert (chosen.bar, chosen.answered, chosen.disagreed) == (0.0, 600, 0)


def test_stricter_bars_answer_less_and_less() -> None:
    chosen, *stricter = choose_bars(np.linspace(0, 1, 5000), np.linspace(0, 1, 5000) > 0.4, DELTA)
    answered = [bar.answered / chosen.answered for bar in stricter]
    assert len(answered) == 3
    assert all(found <= share for found, share in zip(answered, (0.75, 0.5, 0.25), strict=True))
    assert all(bar.upper_bound <= DELTA for bar in stricter)


def test_with_few_sentences_no_bar_is_shown() -> None:
    with pytest.raises(NoCascadeError, match=r"597 sentences .* takes 598"):
        choose_bars(np.ones(597), np.ones(597, dtype=bool), DELTA)


def test_a_student_that_is_surest_where_it_is_wrong_answers_nothing() -> None:
    confidence = np.linspace(0, 1, 700)
    with pytest.raises(NoCascadeError, match="to 35 of them the student gives another label"):
        choose_bars(confidence, confidence < 0.95, DELTA)
