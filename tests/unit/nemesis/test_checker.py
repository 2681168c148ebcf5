"""Each rule of the checker catches what it is there for, and lets histories pass in which all is as it should be."""

from typing import Any

import pytest

from tests.nemesis.checker.faults import ALL, CONNECTION, MODEL, SLOW, UNREADY
from tests.nemesis.history import FAIL, INFO
from tests.unit.nemesis.stories import OWN, Story


def swapped() -> Story:
    """Version 2 answers from 2.0 s on, and somebody has seen that by 2.2 s."""
    return Story().answer(1, 1.1, 1, "a").publish(1.2, 1.5, 2, "b").answer(2.1, 2.2, 2, "b")


def test_a_quiet_run_with_a_swap_a_rollback_and_a_retraction_passes() -> None:
    story = swapped().add("rollback", 3, 3.5, {}, version=3, **{"from": 1}).answer(4, 4.1, 3, "a")
    story.command("retract", 5, 5.5, 3).disk(5.6, v1="a", v2="b").answer(6, 6.1, 2, "b")
    assert story.broken() == []


def test_an_answer_of_another_version_is_caught() -> None:
    assert swapped().answer(3, 3.1, 2, "a").rules() == ["answers"]


def test_a_score_that_is_off_is_caught() -> None:
    answers = [["a", 0.5 + 2e-6]]
    story = Story().add("classify", 1, 2, {"sentences": [0], "version": None}, version=1, answers=answers)
    assert story.rules() == ["answers"]


def test_a_request_for_many_that_is_answered_for_one_is_caught() -> None:
    asked = {"sentences": [0, 1], "version": None}
    right, short = [list(pair) for pair in OWN["a"]], [list(OWN["a"][0])]
    assert Story().add("batch", 1, 2, asked, version=1, answers=right).rules() == []
    assert Story().add("batch", 1, 2, asked, version=1, answers=short).rules() == ["answers"]
    assert Story().add("batch", 1, 2, asked, version=1, answers=right[::-1]).rules() == ["answers"]


def test_an_answer_may_come_before_its_publisher_has_returned() -> None:
    assert Story().answer(1.5, 1.6, 2, "b").publish(1, 2, 2, "b").rules() == []
    assert Story().answer(1.5, 1.6, 2, "c").publish(1, 2, 2, "b").rules() == ["answers"]


def test_a_publisher_who_was_killed_may_have_published() -> None:
    story = Story().add("publish", 1, 2, {"content": "b"}, INFO).disk(2.1, v1="a", v2="b")
    assert story.answer(3, 3.1, 2, "b").rules() == []
    assert Story().add("publish", 1, 2, {"content": "b"}, INFO).disk(2.1, v1="a").answer(3, 3.1, 1, "a").rules() == []


def test_a_version_that_was_never_published_is_caught() -> None:
    assert Story().answer(1, 1.1, 2, "b").rules() == ["answers"]
    refused = Story().add("publish", 1, 2, {"content": "b"}, FAIL, error="no").fault(0.6, None, "publish")
    assert refused.answer(3, 3.1, 2, "b").rules() == ["answers"]


def test_a_broken_version_must_not_answer() -> None:
    assert Story().disk(1, v1="a", v2="broken").answer(2, 2.1, 2, "b").rules() == ["answers"]


def test_a_version_that_was_named_and_another_answers_is_caught() -> None:
    assert swapped().answer(3, 3.1, 1, "a", named=1).rules() == []
    assert swapped().answer(3, 3.1, 2, "b", named=1).rules() == ["answers"]


def test_a_retracted_version_may_answer_for_a_while_and_no_longer() -> None:
    story = swapped().command("retract", 3, 3.5, 2).disk(3.6, v1="a")
    assert story.answer(20, 20.1, 2, "b").rules() == []
    assert story.answer(40, 40.1, 2, "b").rules() == ["answers"]


def test_a_retraction_has_more_time_while_a_fault_is_felt() -> None:
    story = swapped().command("retract", 3, 3.5, 2).disk(3.6, v1="a").fault(3, 30, UNREADY)
    assert story.answer(35, 35.1, 1, "a", named=1).answer(40, 40.1, 2, "b", named=2).rules() == []


def test_a_number_that_is_given_out_twice_is_caught() -> None:
    assert swapped().publish(3, 3.5, 2, "c").rules() == ["answers"]
    assert swapped().disk(3, v1="a").disk(4, v1="a", v2="b").rules() == ["answers"]


def test_an_older_version_after_an_acknowledged_switch_is_caught() -> None:
    assert swapped().answer(3, 3.1, 1, "a").rules() == ["order"]


@pytest.mark.parametrize(("kind", "got"), [("ready", {"version": 2}), ("models", {"current": 2})])
def test_a_switch_is_acknowledged_by_what_says_it(kind: str, got: dict[str, Any]) -> None:
    story = Story().publish(1.2, 1.5, 2, "b").add(kind, 2, 2.1, {}, **got)
    assert story.answer(3, 3.1, 1, "a").rules() == ["order"]


def test_who_asked_before_the_switch_was_acknowledged_may_get_either_version() -> None:
    assert swapped().answer(2.15, 2.3, 1, "a").rules() == []


def test_a_switch_that_one_caller_named_is_no_switch_for_all() -> None:
    story = Story().publish(1.2, 1.5, 2, "b").answer(2, 2.1, 2, "b", named=2)
    assert story.answer(3, 3.1, 1, "a").rules() == []


def test_what_publish_says_acknowledges_no_switch() -> None:
    assert Story().publish(1.2, 1.5, 2, "b").answer(3, 3.1, 1, "a").rules() == []


@pytest.mark.parametrize("outcome", ["ok", "info"])
def test_a_retraction_explains_that_the_version_before_answers(outcome: str) -> None:
    story = swapped().command("retract", 2.5, 2.8, 2, outcome)
    assert story.answer(3, 3.1, 1, "a").rules() == []


def test_the_retraction_of_another_version_explains_nothing() -> None:
    story = Story().publish(0.6, 0.7, 2, "b").publish(0.8, 0.9, 3, "c").answer(1, 1.1, 3, "c")
    assert story.command("retract", 2, 2.1, 1).answer(3, 3.1, 2, "b").rules() == ["order"]


def test_a_fault_explains_a_step_back_only_of_the_version_that_it_struck() -> None:
    assert swapped().fault(2.5, 2.6, moves=[2]).answer(3, 3.1, 1, "a").rules() == []
    assert swapped().fault(2.5, 2.6, moves=[1]).answer(3, 3.1, 1, "a").rules() == ["order"]


def test_a_gateway_that_was_killed_has_acknowledged_nothing_and_its_successor_has() -> None:
    story = swapped().fault(2.5, 2.6, moves=ALL)
    assert story.answer(3, 3.1, 1, "a").rules() == []
    assert story.answer(4, 4.1, 2, "b").answer(5, 5.1, 1, "a").rules() == ["order"]


def test_a_pin_explains_an_older_version_and_its_end_a_newer_one() -> None:
    story = swapped().command("pin", 2.5, 2.8, 1).answer(2.9, 3, 2, "b").answer(3.1, 3.2, 1, "a")
    assert story.command("unpin", 4, 4.2).answer(4.3, 4.4, 1, "a").answer(5, 5.1, 2, "b").rules() == []


def test_another_version_while_one_is_pinned_is_caught() -> None:
    story = swapped().command("pin", 2.5, 2.8, 1).models(3.9, 4, 1).answer(5, 5.1, 2, "b")
    assert story.rules() == ["pins"]
    assert story.fault(4.5, 4.6, moves=[1]).rules() == []


@pytest.mark.parametrize(("at", "others"), [(3.0, ()), (3.9, (2,))], ids=["as it was before", "beside another"])
def test_a_pin_is_in_force_once_triton_serves_nothing_else(at: float, others: tuple[int, ...]) -> None:
    """Until then a newer version that Triton was loading may become current."""
    story = swapped().command("pin", 2.5, 2.8, 1).answer(2.9, 2.95, 1, "a").models(at, at + 0.1, 1, *others)
    assert story.answer(5, 5.1, 2, "b").rules() == []


def test_the_retraction_of_a_pinned_version_ends_the_pin() -> None:
    story = swapped().command("pin", 2.5, 2.8, 1).answer(3.1, 3.2, 1, "a").command("retract", 3.5, 3.6, 1)
    assert story.answer(4, 4.1, 2, "b").rules() == []


def test_some_time_after_the_end_of_a_pin_the_order_holds_again() -> None:
    story = swapped().command("pin", 2.5, 2.8, 1).answer(3.1, 3.2, 1, "a").command("unpin", 4, 4.2)
    assert story.answer(50, 50.1, 2, "b").answer(60, 60.1, 1, "a").rules() == ["order"]


def test_a_refusal_needs_a_fault_that_explains_it_and_says_when_to_come_again() -> None:
    assert Story().refused(1, 1.1, 503).rules() == ["failures"]
    assert Story().refused(1, 1.1, 503, error="Too busy: 9 sentences are waiting; try again shortly.").rules() == []
    assert Story().fault(0.6, 2, UNREADY).refused(1, 1.1, 503).rules() == []
    assert Story().fault(0.6, 2, CONNECTION).refused(1, 1.1, 503).rules() == ["failures"]
    assert Story().fault(0.6, 2, UNREADY).refused(1, 1.1, 503, retry_after=None).rules() == ["failures"]


def test_a_fault_explains_no_more_once_callers_have_recovered() -> None:
    story = Story().fault(0.6, 2, UNREADY)
    assert story.refused(40, 40.1, 503).rules() == []
    assert story.answer(41, 41.1, 1, "a").refused(45, 45.1, 503).rules() == []
    assert story.refused(60, 60.1, 503).rules() == ["failures"]


def test_an_error_of_the_server_s_own_is_caught_whatever_fault_there_is() -> None:
    assert Story().fault(0.6, 2, UNREADY, CONNECTION, SLOW, MODEL).refused(1, 1.1, 500).rules() == ["failures"]


def test_a_late_answer_is_one_at_the_deadline() -> None:
    assert Story().refused(1, 6, 504).rules() == []
    assert Story().refused(1, 2, 504).rules() == ["failures"]


def test_a_model_fails_where_its_files_were_damaged_alone() -> None:
    assert Story().refused(1, 2, 502).rules() == ["failures"]
    assert Story().fault(0.6, 2, MODEL).refused(1, 2, 502).rules() == []


def test_a_request_is_at_fault_only_where_it_names_a_version() -> None:
    assert Story().refused(1, 2, 422, named=7).rules() == []
    assert Story().refused(1, 2, 422).rules() == ["failures"]


def test_a_version_that_was_named_may_go_while_it_is_asked() -> None:
    gone = "Version 1 of classifier is no longer served; try again."
    assert Story().refused(1, 2, 503, named=1, error=gone).rules() == []
    assert Story().refused(1, 2, 503, error=gone).rules() == ["failures"]


def test_a_connection_breaks_and_a_request_hangs_only_by_a_fault() -> None:
    assert Story().lost(1, 1.1, 0.1).rules() == ["failures"]
    assert Story().fault(0.6, 2, CONNECTION).lost(1, 1.1, 0.1).rules() == []
    assert Story().fault(0.6, 2, CONNECTION).lost(1, 41, 40).rules() == ["failures"]
    assert Story().fault(0.6, 2, SLOW).lost(1, 41, 40).rules() == []


def test_a_command_that_fails_needs_a_fault_and_a_broken_version_is_refused() -> None:
    assert Story().command("retract", 1, 2, 1, FAIL).rules() == ["commands"]
    assert Story().fault(0.6, 3, "retract").command("retract", 1, 2, 1, FAIL).rules() == []
    assert Story().fault(0.6, 3, "publish").command("retract", 1, 2, 1, FAIL).rules() == ["commands"]
    assert Story().add("publish", 1, 2, {"content": "broken"}, FAIL, error="no").rules() == []
    assert "commands" in Story().add("publish", 1, 2, {"content": "broken"}, version=2).rules()


def test_a_rollback_may_be_refused_where_nothing_older_answers_otherwise() -> None:
    refused = Story().add("rollback", 1, 2, {}, FAIL, error="Error: nothing to roll back to: no older version differs")
    assert refused.rules() == []


AT_REST: dict[str, Any] = {
    "disk": [3, 4, 5],
    "pinned": None,
    "copy": None,
    "triton": [5, 4],
    "models": [4, 5],
    "current": 5,
    "answered": 5,
}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({}, ""),
        ({"copy": [4, 5]}, ""),
        ({"pinned": 3, "triton": [3], "models": [3], "current": 3, "answered": 3}, ""),
        ({"copy": [3, 4]}, "copy has [3, 4]"),
        ({"triton": [5]}, "triton has [5]"),
        ({"models": [3, 4, 5]}, "models has [3, 4, 5]"),
        ({"current": 4}, "by current 4 does"),
        ({"answered": None}, "by answered None does"),
        ({"pinned": 3, "triton": [3], "models": [3]}, "version 3 should answer"),
    ],
)
def test_at_rest_all_views_agree(seen: dict[str, Any], words: str) -> None:
    broken = Story().add("rest", 1, 1, {}, **{**AT_REST, **seen}).broken()
    assert bool(broken) == bool(words)
    assert all(rule == "rest" for rule, _ in broken)
    assert words in " ".join(what for _, what in broken)


def test_what_is_left_behind_is_told() -> None:
    assert Story().add("left", 1, 1, {}, left=[]).broken() == []
    assert Story().add("left", 1, 1, {}, left=["process 7"]).broken() == [("rest", "left behind: process 7")]


def test_operations_that_never_ended_break_nothing() -> None:
    story = swapped().add("classify", 3, None, {"sentences": [0], "version": None})
    assert story.add("publish", 3, None, {"content": "c"}).broken() == []
