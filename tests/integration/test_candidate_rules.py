"""A candidate is promoted or rejected by what gateways count: through restarts, by several of them, or by a command."""

from pathlib import Path
from typing import Any

import pytest

from repository.candidates.tally import Tally
from repository.candidates.trial import Plan, Rule
from repository.manifest import RepositoryError
from repository.store import ModelStore
from tests.integration.gateways import gateway_beside
from tests.integration.swapping import (
    SWAP_S,
    assert_undisturbed,
    manage,
    new_store,
    own_answers,
    serving,
    traffic_at,
    until_answered,
    write_model,
)
from tests.integration.trials import EAGER, NEVER, compared, until_ended, until_running, until_workers_ready
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


def test_a_rule_promotes_a_candidate_through_a_restart_and_rejects_another(store: ModelStore, tmp_path: Path) -> None:
    alike = write_model(tmp_path / "v2", 0, seed=1)  # the same weights as version 1
    other = write_model(tmp_path / "v3", 0, seed=3)
    own = {number: own_answers(folder) for number, folder in {1: store.folder / "1", 2: alike, 3: other}.items()}
    with serving(store, WORKERS="2", **EAGER) as stack:
        until_workers_ready(stack)
        store.publish(alike, plan=Plan(rule=NEVER))
        with traffic_at(stack):
            wait_until(lambda: compared(stack) > 50, SWAP_S, "50 sentences are compared")
    tallies = sorted(store.folder.parent.glob(".candidate-classifier.2.*.json"))
    assert len(tallies) == 2, "one of each worker"
    before = sum(Tally.model_validate_json(each.read_text()).overall.compared for each in tallies)
    assert before > 50, "what was compared since the last was written is in it"
    store.change_trials(with_rule(Rule(after=before + 50, agreement=0.9, latency_ratio=50, errors=0)))
    with serving(store, WORKERS="2", **EAGER) as stack:
        until_workers_ready(stack)
        assert stack.version() == 1
        until_running(stack, 2)
        wait_until(lambda: compared(stack) >= before, SWAP_S, "what was counted before is counted still")
        with traffic_at(stack) as traffic:
            trial = until_ended(store, 2, "promoted")
            until_answered(traffic, 2)
            store.publish(other, plan=Plan(rule=Rule(after=60, agreement=0.95, latency_ratio=50, errors=0)))
            rejected = until_ended(store, 3, "rejected")
        assert_undisturbed(traffic, own, stack)
    assert traffic.versions == {1, 2}
    assert (trial.reason or "").startswith("by its rule: its answers agree on 100.00%")
    assert trial.summary is not None
    assert trial.summary.compared >= before + 50
    assert "the lower bound has to reach 95.00%" in (rejected.reason or "")


def with_rule(rule: Rule) -> Any:
    """What gives the trial that runs another rule."""

    def change(trials: Any) -> Any:
        trial = trials.running.model_copy(update={"rule": rule})
        return trials.model_copy(update={"trials": (*trials.trials[:-1], trial)})

    return change


def test_gateways_that_keep_their_counts_elsewhere_are_added_up_by_a_command(store: ModelStore, tmp_path: Path) -> None:
    alike = write_model(tmp_path / "v2", 0, seed=1)
    elsewhere = {"CANDIDATE_STATE": str(tmp_path / "tallies"), **EAGER}
    with (
        serving(store, **elsewhere) as stack,
        gateway_beside(stack, tmp_path / "beside.log", LOG_SENTENCES="true") as two,
    ):
        store.publish(alike, plan=Plan(rule=NEVER))
        until_running(stack, 2)
        wait_until(lambda: two.metric("classifier_candidate_running") == 1, SWAP_S, "it is on trial there, too")
        for number in range(60):
            for client in (stack.client, two.client):
                assert client.get("/classify", params={"sentence": f"word{number}"}).status_code == 200
        wait_until(lambda: compared(stack) == 120, SWAP_S, "the sum of both")
        wait_until(lambda: two.metric("classifier_candidate_compared") == 120, SWAP_S, "each tells the sum")
        manage(store, "promote", "--tallies", str(tmp_path / "tallies"), "--by-rule")
        assert store.trials().running is not None, "not enough is counted"
        store.change_trials(with_rule(Rule(after=50, agreement=0.9, latency_ratio=50, errors=0)))
        until_ended(store, 2, "promoted")
        wait_until(lambda: stack.version() == 2, SWAP_S, "version 2 answers")


def test_publishing_over_a_trial_is_refused_and_replacing_it_is_not(store: ModelStore, tmp_path: Path) -> None:
    exported = {number: write_model(tmp_path / f"v{number}", number - 1, number) for number in (2, 3)}
    own = {number: own_answers(folder) for number, folder in {1: store.folder / "1", **exported}.items()}
    with serving(store) as stack:
        with traffic_at(stack) as traffic:
            store.publish(exported[2], plan=Plan())
            until_running(stack, 2)
            for plan in (None, Plan()):
                with pytest.raises(RepositoryError, match="version 2 is on trial"):
                    store.publish(exported[3], plan=plan)
            manage(store, "publish", str(exported[3]), "--replace")
            until_answered(traffic, 3)
        assert_undisturbed(traffic, own, stack)
    assert traffic.versions == {1, 3}
    assert store.numbers() == [1, 3]
