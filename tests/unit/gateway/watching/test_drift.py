"""A window is what was counted lately; what is told of it is held against the profile."""

import pytest

from gateway.watching.drift import FEWEST, SNAPSHOTS, Window, shifts


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_holds_the_last_minute_and_little_more() -> None:
    clock, total = Clock(), 0.0
    window = Window(60, {}, clock)
    for second in range(1, 300):
        clock.now, total = float(second), total + 2
        totals = {"label": {"a": total}}
        window.slide(totals)
        counted = window.counts(totals)["label"]["a"]
        assert counted == 2 * min(second, counted / 2)
        if second > 70:
            assert 2 * 60 <= counted <= 2 * (60 + 60 / SNAPSHOTS + 1)
            assert window.length_s == pytest.approx(counted / 2, abs=1)


def test_another_version_s_window_begins_empty() -> None:
    clock = Clock()
    window = Window(60, {}, clock)
    window.begin({"label": {"a": 5.0}})
    assert window.counts({"label": {"a": 5.0, "b": 1.0}})["label"] == {"b": 1.0}


def test_few_sentences_say_nothing() -> None:
    expected = {"label": {"a": 500.0, "b": 500.0}, "script": {"Latin": 1000.0}}
    counts = {"label": {"a": FEWEST - 1.0}, "script": {"Latin": 1.0 * FEWEST}}
    (told,) = shifts(expected, counts)
    assert (told.of, told.is_large) == ("script", False)


def test_a_bin_that_the_profile_never_saw_counts() -> None:
    (told,) = shifts({"script": {"Latin": 1000.0}}, {"script": {"Latin": 100.0, "Han": 100.0}})
    assert told.is_large
