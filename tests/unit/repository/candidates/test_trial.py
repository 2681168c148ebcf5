"""The record of trials: one at a time, ended once, and nothing that is on trial or was rejected answers by itself."""

import pytest

from repository.candidates.trial import KEPT, Plan, Rule, Trials, begun_alone, refuse_over, require_running
from repository.manifest import RepositoryError


def test_a_trial_sets_its_version_aside_until_it_is_promoted() -> None:
    trials = Trials().begun(4, Plan(canary=0.1))
    assert trials.set_aside == {4}
    assert require_running(trials).mode == "canary"
    promoted = trials.ended(4, "promoted", "by hand")
    assert promoted.running is None
    assert promoted.set_aside == frozenset()


def test_a_rejected_version_stays_aside() -> None:
    trials = Trials().begun(4, Plan()).ended(4, "rejected", "it is wrong").begun(5, Plan())
    assert trials.set_aside == {4, 5}
    assert trials.trials[0].reason == "it is wrong"


def test_a_trial_ends_once_whoever_comes_second() -> None:
    trials = Trials().begun(4, Plan()).ended(4, "rejected", "an error")
    assert trials.ended(4, "promoted", "by its rule") is trials
    assert trials.ended(3, "promoted", "another's") is trials


def test_another_trial_is_refused_while_one_runs() -> None:
    trials = Trials().begun(4, Plan())
    for refused in (lambda: refuse_over(trials), lambda: begun_alone(trials, 5, Plan())):
        with pytest.raises(RepositoryError, match="version 4 is on trial: promote or reject it first"):
            refused()
    refuse_over(trials.ended(4, "promoted", "by hand"))


def test_a_trial_whose_version_is_gone_gives_way() -> None:
    trials = Trials().begun(4, Plan()).begun(5, Plan())
    assert [(trial.version, trial.outcome) for trial in trials.trials] == [(4, "rejected"), (5, None)]


def test_what_is_written_is_read_back_and_unknown_fields_are_no_mistake() -> None:
    trials = Trials().begun(4, Plan(canary=0.05, rule=Rule(after=500))).ended(4, "rejected", "slow").begun(5, Plan())
    assert Trials.parse(trials.text().encode(), "here") == trials
    newer = trials.text().replace('"schema_version": 1,', '"schema_version": 1, "since_later": true,')
    assert Trials.parse(newer.encode(), "here") == trials
    with pytest.raises(RepositoryError, match=r"here is no valid record of trials"):
        Trials.parse(b"{", "here")


def test_the_record_is_bounded_and_never_loses_the_trial_that_runs() -> None:
    trials = Trials()
    for version in range(1, KEPT + 20):
        trials = trials.ended(version - 1, "promoted", "by hand").begun(version, Plan())
    assert len(trials.trials) == KEPT
    assert require_running(trials).version == KEPT + 19


@pytest.mark.parametrize(("after", "agreement", "reachable"), [(298, 0.99, False), (299, 0.99, True), (59, 0.95, True)])
def test_a_rule_that_nothing_can_meet_says_so(after: int, agreement: float, reachable: bool) -> None:
    assert (Rule(after=after, agreement=agreement).unreachable() is None) == reachable
