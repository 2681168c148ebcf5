"""Counts of a candidate add up over processes, stay bounded, and one hiccup does not make it slow."""

import pytest

from repository.candidates.tally import MOST_CHANGES, MOST_GROUPS, OTHERS, Agreement, Change, Tally, total


def tally(version: int = 2, against: int = 1, agreed: int = 0, other: int = 0) -> Tally:
    found = Tally(version=version, against=against)
    for place in range(agreed + other):
        found.compare("Animal", "Latin", place < agreed, place >= agreed, shift=0.1)
        found.time(0.002, 0.001)
    return found


def change(sentence: str, difference: float) -> Change:
    return Change(sentence=sentence, current_label="a", current_score=0.9, label="b", score=0.8, difference=difference)


def test_processes_are_added_up_and_other_pairs_of_versions_are_not() -> None:
    tallies = [tally(agreed=8, other=2), tally(agreed=10), tally(against=7, agreed=99), tally(version=3, agreed=99)]
    found = total(2, 1, [Tally.model_validate_json(each.model_dump_json()) for each in tallies])
    assert (found.overall.compared, found.overall.agreed, found.overall.confident_changes) == (20, 18, 2)
    assert found.by_label["Animal"] == found.by_script["Latin"] == found.overall
    assert found.mean_shift == pytest.approx(0.1)
    assert found.latency_ratio == pytest.approx(2, rel=0.02)


def test_a_failure_counts_whatever_the_candidate_was_compared_with() -> None:
    failed = tally(against=7).model_copy(update={"failure": "it gave NaN"})
    assert total(2, 1, [tally(agreed=3), failed]).failure == "it gave NaN"
    assert total(3, 1, [failed]).failure is None


def test_the_bounds_are_those_of_the_share() -> None:
    counts = Agreement(compared=1000, agreed=990)
    assert counts.share == 0.99
    assert counts.lower < 0.99 < counts.upper
    assert counts.lower == pytest.approx(0.98310, abs=5e-6)  # SciPy: 1 - beta.ppf(0.95, 11, 990)
    assert (Agreement().share, Agreement().lower, Agreement().upper) == (None, 0.0, 1.0)


def test_one_hiccup_does_not_make_a_candidate_slow() -> None:
    found = Tally(version=2, against=1)
    for _ in range(50):
        found.time(0.011, 0.010)
    found.time(3.0, 0.010)
    found.time(0.0, 0.010)
    assert found.latency_ratio == pytest.approx(1.1, rel=0.02)
    assert found.timed == 51


def test_labels_without_end_are_counted_together() -> None:
    found = Tally(version=2, against=1)
    for number in range(MOST_GROUPS + 50):
        found.compare(f"label {number}", "Latin", True, False, 0.0)
    assert len(found.by_label) == MOST_GROUPS + 1
    assert found.by_label[OTHERS].compared == 50


def test_the_sentences_that_changed_most_are_kept_each_once() -> None:
    found = Tally(version=2, against=1)
    for number in range(3 * MOST_CHANGES):
        found.keep(change(f"sentence {number % 30}", difference=number % 30))
    assert [kept.difference for kept in found.changes] == list(range(29, 29 - MOST_CHANGES, -1))
