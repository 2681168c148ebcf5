"""What a run of trials tells, and when it has failed."""

from benchmarks.commands.trials import trials_table
from benchmarks.measure.soak.traffic import Counts
from benchmarks.measure.trials.feedback import FeedbackCounts
from benchmarks.measure.trials.run import HalfLoad, Trials

HALF = HalfLoad(rate=100.0, without_p99_ms=[10.0, 20.0, 10.0], with_p99_ms=[11.0, 20.0, 30.0], mirrored=90)


def test_the_ratio_is_the_median_over_the_pairs() -> None:
    assert HALF.ratio == 1.1


def test_the_table_says_what_came_back_and_what_it_cost() -> None:
    found = Trials(
        rounds=2,
        seconds=60.0,
        steps={"swapped": 2},
        counts=Counts(texts=5000),
        feedback=FeedbackCounts(taken=30),
        half_load=HALF,
    )
    table = trials_table(found)
    assert [list(row) for row in table.rows] == [["swapped", "2"]]
    assert "5000 texts asked, 0 answers wrong, 0 failed; feedback to 30 answers, 0 not taken." in table.note
    assert "p99 without a candidate 10 / 20 / 10 ms, with one 11 / 20 / 30 ms (in pairs): 1.10 times" in table.note
    assert found.failures() == []


def test_what_went_wrong_is_told_a_line_each() -> None:
    counts = Counts(texts=9, wrong=1, failed=2, problems=["1.0 s, wrong: this"])
    found = Trials(counts=counts, feedback=FeedbackCounts(failed=["refused", "again"]), problem="a step hung")
    assert found.failures() == [
        "a step hung",
        "1 wrong, 2 failed; 1.0 s, wrong: this",
        "2 times feedback was not taken; refused",
    ]
