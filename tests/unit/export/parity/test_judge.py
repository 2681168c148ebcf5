"""A rounded graph is judged by what a user loses, and taken only where enough sentences show that it is little."""

import numpy as np
import pytest

from export.parity.judge import Answered, Labelled, judge, least_sentences
from repository.automatic_rule import AutomaticRule
from repository.binomial import lower_bound
from repository.inference import Float32Array
from repository.manifest import Judgement, Precision, ProblemType
from training.data.examples import Target

LABELS = ["a", "b", "c"]
RULE = AutomaticRule()
SINGLE, MULTI, NUMBER = ProblemType.SINGLE_LABEL, ProblemType.MULTI_LABEL, ProblemType.REGRESSION


def logits(best: list[int], gap: float = 4.0) -> Float32Array:
    """Logits of three labels, of which the best is ahead by `gap`."""
    found = np.zeros((len(best), 3), dtype=np.float32)
    found[np.arange(len(best)), best] = gap
    return found


def near_ties(count: int) -> Float32Array:
    """Logits on which PyTorch answers `a`, by a hair."""
    return logits([0] * count, gap=0.05)


def changed(expected: Float32Array, places: list[int]) -> Float32Array:
    """The same but for these texts, which get another best label by a hair."""
    found = expected.copy()
    found[places] = np.roll(expected[places], 1, axis=1)
    return found


def verdict(
    expected: Float32Array,
    found: Float32Array,
    truth: list[Target] | None = None,
    groups: list[str] | None = None,
    task: ProblemType = SINGLE,
    rule: AutomaticRule = RULE,
    others: tuple[Answered, ...] = (),
    unit: float = 1.0,
) -> Judgement:
    known = Labelled(truth, groups or [f"group {place}" for place in range(len(expected))])
    answers = Answered("some sentences", expected, found)
    return judge(Precision.INT8, answers, known, others, LABELS, task, rule, unit)


# --- without labels: agreement, and how sure it is ---------------------------------------------------------------


def test_the_bound_is_clopper_and_pearsons() -> None:
    assert lower_bound(598, 598) == pytest.approx(0.05 ** (1 / 598))
    assert lower_bound(598, 598) > 0.995
    assert lower_bound(597, 597) < 0.995
    assert lower_bound(999, 1000) == pytest.approx(0.995265, abs=1e-6)
    assert lower_bound(0, 4) == 0.0
    # What it says is that so few or fewer changes come about once in twenty at that rate.
    from scipy.stats import binom

    for changes in (0, 1, 5, 50):
        assert binom.cdf(changes, 1000, 1 - lower_bound(1000 - changes, 1000)) == pytest.approx(0.05)


def test_a_handful_of_sentences_shows_nothing() -> None:
    assert least_sentences(RULE, with_truth=False) == 598
    (reason,) = verdict(near_ties(4), near_ties(4)).objections
    assert reason == "needs at least 598 different sentences to be judged on, has 4"
    assert verdict(near_ties(597), near_ties(597)).objections
    assert not verdict(near_ties(598), near_ties(598)).objections


@pytest.mark.parametrize(("changes", "is_taken"), [(0, True), (1, True), (2, False), (5, False), (50, False)])
def test_of_a_thousand_sentences_without_labels_one_may_change(changes: int, is_taken: bool) -> None:
    found = verdict(near_ties(1000), changed(near_ties(1000), list(range(changes))))
    assert (found.judged[0].changes, found.judged[0].confident_changes) == (changes, 0)
    assert (found.objections == []) == is_taken
    if not is_taken:
        assert f"{changes} of 1000 answers change" in found.objections[0]


def test_four_thousand_sentences_show_what_a_thousand_do_not() -> None:
    assert verdict(near_ties(1000), changed(near_ties(1000), [0, 1])).objections
    assert not verdict(near_ties(4000), changed(near_ties(4000), list(range(8)))).objections


# --- with labels: what a user loses ------------------------------------------------------------------------------


def labelled(count: int, losses: int, gains: int, rule: AutomaticRule = RULE) -> Judgement:
    """Near ties, of which so many become wrong and so many right."""
    expected = near_ties(count)
    truth: list[Target] = ["b" if place < gains else "a" for place in range(count)]
    return verdict(expected, changed(expected, list(range(gains + losses))), truth, rule=rule)


def test_coin_tosses_are_no_reason_against_it() -> None:
    """One change in a hundred, as often to the better as to the worse: nobody loses anything, if that is sure."""
    taken = labelled(8000, losses=40, gains=40)
    assert taken.objections == []
    assert taken.figures["accuracy"].value == 0.0
    assert -0.005 < taken.figures["accuracy"].at_worst < 0.0
    strict = labelled(8000, losses=40, gains=40, rule=AutomaticRule(always_agreement=True))
    (reason,) = strict.objections
    assert "80 of 8000 answers change" in reason


@pytest.mark.parametrize(
    ("losses", "gains", "is_taken"), [(0, 0, True), (1, 0, True), (0, 5, True), (5, 0, False), (50, 0, False)]
)
def test_accuracy_may_not_be_worse_by_more_than_the_margin(losses: int, gains: int, is_taken: bool) -> None:
    found = labelled(1000, losses, gains)
    assert (found.objections == []) == is_taken
    assert found.figures["accuracy"].value == pytest.approx((gains - losses) / 1000)
    if not is_taken:
        assert any("accuracy may be 0.0" in reason and "0.005 allowed" in reason for reason in found.objections)


def test_a_wider_margin_allows_more_and_takes_fewer_sentences() -> None:
    wide = AutomaticRule(margin=0.02)
    assert labelled(1000, 5, 0).objections
    assert not labelled(1000, 5, 0, wide).objections
    assert least_sentences(wide, with_truth=True) == 149
    assert labelled(148, 0, 0, wide).objections
    assert not labelled(149, 0, 0, wide).objections
    assert labelled(149, 0, 0, AutomaticRule(margin=0.02, always_agreement=True)).objections


def test_the_same_changes_in_one_group_say_less() -> None:
    """Eight to the better and eight to the worse in one group each: a draw may have one of them several times."""
    expected, places = near_ties(4000), list(range(16))
    truth: list[Target] = ["b" if place < 8 else "a" for place in range(4000)]
    alone = verdict(expected, changed(expected, places), truth)
    together = verdict(expected, changed(expected, places), truth, [f"group {place // 8}" for place in range(4000)])
    assert together.groups == 500
    assert together.figures["accuracy"].at_worst < alone.figures["accuracy"].at_worst
    few = verdict(expected, expected, truth, [f"group {place % 19}" for place in range(4000)])
    assert few.objections == ["needs sentences of at least 20 groups, has 19"]


# --- answers of which PyTorch is sure ----------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "changes", "is_taken"), [(999, 1, False), (1000, 1, True), (4000, 4, True)])
def test_of_a_thousand_sure_answers_one_may_change(count: int, changes: int, is_taken: bool) -> None:
    expected = logits([place % 3 for place in range(count)])
    truth: list[Target] = [LABELS[place % 3] for place in range(count)]
    found = verdict(expected, changed(expected, list(range(changes))), truth)
    assert found.judged[0].confident_changes == changes
    assert (not any("where PyTorch is sure" in reason for reason in found.objections)) == is_taken


def test_a_sure_answer_that_changes_in_a_long_text_counts_by_itself() -> None:
    expected = logits([place % 3 for place in range(1000)])
    long = Answered("long texts", expected[:40], changed(expected[:40], [7]))
    (reason,) = verdict(expected, expected, others=(long,)).objections
    assert reason == "1 of 40 answers change where PyTorch is sure (long texts), 0 allowed"
    near = Answered("long texts", near_ties(40), changed(near_ties(40), [7]))
    found = verdict(expected, expected, others=(near,))
    assert found.objections == []
    assert [(texts.texts, texts.changes) for texts in found.judged] == [(1000, 0), (40, 1)]


# --- several labels, and numbers ---------------------------------------------------------------------------------


def test_of_several_labels_one_that_is_sure_counts_beside_one_that_is_not() -> None:
    expected = np.tile(np.array([3.0, 0.01, -3.0], dtype=np.float32), (1000, 1))
    truth: list[Target] = [("a", "b")] * 1000
    near, sure = expected.copy(), expected.copy()
    near[:1, 1] *= -1
    sure[:2, 0] *= -1
    found = verdict(expected, near, truth, task=MULTI)
    assert (found.judged[0].changes, found.judged[0].confident_changes, found.objections) == (1, 0, [])
    assert set(found.figures) == {"exact_match", "macro_f1"}
    found = verdict(expected, sure, truth, task=MULTI)
    assert found.judged[0].confident_changes == 2
    assert any("where PyTorch is sure" in reason for reason in found.objections)
    lost = expected.copy()
    lost[:5, 1] *= -1
    assert any("exact match may be" in reason for reason in verdict(expected, lost, truth, task=MULTI).objections)


def test_of_numbers_the_error_may_grow_by_the_margin_in_their_unit() -> None:
    stars = np.linspace(1, 5, 1000, dtype=np.float32)[:, None]
    truth: list[Target] = [float(value) for value in stars[:, 0]]
    off = stars + 0.012  # PyTorch is right, so that all of it is error
    found = verdict(stars, off, truth, task=NUMBER)
    assert found.figures["mean_absolute_error"].value == pytest.approx(0.012, abs=1e-4)
    (reason,) = found.objections
    assert reason == "mean absolute error may be 0.0120 higher, 0.005 allowed"
    assert not verdict(stars, off, truth, task=NUMBER, unit=4.0).objections
    # A value that is off by more than a twentieth of their range is another answer.
    far = stars.copy()
    far[:2] += 0.3
    assert any("2 of 1000 answers change" in reason for reason in verdict(stars, far, truth, task=NUMBER).objections)
