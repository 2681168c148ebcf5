"""A candidate in a repository in S3, with gateways and a Triton that each have a copy of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.candidates.trial import Plan, Rule
from repository.s3_store import S3Store
from tests.integration.gateways import gateway_beside
from tests.integration.swapping import (
    SWAP_S,
    assert_undisturbed,
    own_answers,
    state_of,
    traffic_at,
    until_answered,
    write_model,
)
from tests.integration.test_s3 import new_s3_store, serving
from tests.integration.trials import EAGER, until_ended, until_running
from tests.s3_server import CREDENTIALS, S3Server, environment, s3_server
from tests.waiting import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with environment(CREDENTIALS), s3_server(tmp_path / "s3.log") as running:
        yield running


@pytest.fixture
def store(server: S3Server, tmp_path: Path) -> S3Store:
    return new_s3_store(server, "candidates", tmp_path)


def test_candidates_in_s3_are_rejected_and_promoted_by_what_two_gateways_count(
    store: S3Store, server: S3Server, tmp_path: Path
) -> None:
    exported = {2: write_model(tmp_path / "v2", 0, seed=2), 3: write_model(tmp_path / "v3", 0, seed=1)}
    own = {number: own_answers(folder) for number, folder in {1: tmp_path / "v1", **exported}.items()}
    other_cache = {"MODEL_CACHE": str(tmp_path / "other"), **EAGER}
    with (
        serving(store, tmp_path, **EAGER) as stack,
        gateway_beside(stack, tmp_path / "beside.log", **other_cache) as beside,
        traffic_at(stack) as traffic,
    ):
        until_answered(traffic, 1)
        assert store.publish(exported[2], plan=Plan(rule=Rule(after=60, agreement=0.95, latency_ratio=50))) == 2
        until_running(stack, 2)
        wait_until(lambda: beside.metric("classifier_candidate_running") == 1, SWAP_S, "it is on trial there, too")
        for number in range(60):
            assert beside.client.get("/classify", params={"sentence": f"word{number}"}).status_code == 200
        rejected = until_ended(store, 2, "rejected")
        wait_until(lambda: state_of(stack, 2)[0] == "gone", SWAP_S, "version 2 is gone")
        store.publish(exported[3], plan=Plan(canary=0.2, rule=Rule(after=60, agreement=0.95, latency_ratio=50)))
        promoted = until_ended(store, 3, "promoted")
        until_answered(traffic, 3)
        wait_until(lambda: beside.metric("classifier_current_version") == 3, SWAP_S, "it answers there, too")
    assert_undisturbed(traffic, own, stack)
    assert traffic.versions == {1, 3}
    assert "the lower bound has to reach 95.00%" in (rejected.reason or "")
    assert promoted.summary is not None
    assert promoted.summary.compared >= 60
    assert not server.keys("candidates/.candidate-classifier.2."), "what was counted is deleted"
