"""A candidate beside the current version, under load: it is shown sentences, answers some, is promoted, or rejected."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repository.candidates.trial import Plan
from repository.manifest import MODEL_FILE
from repository.store import ModelStore
from tests.integration.gateways import gateway_beside
from tests.integration.stack import Stack
from tests.integration.swapping import (
    MODELS,
    SWAP_S,
    assert_undisturbed,
    manage,
    new_store,
    own_answers,
    samples,
    serving,
    state_of,
    traffic_at,
    until_answered,
    write_model,
)
from tests.integration.trials import EAGER, candidate_of, compared, until_ended, until_running, until_workers_ready
from tests.version_folders import SPECIAL, write_golden, write_graph, write_manifest, write_tokenizer
from tests.waiting import wait_until

GOLDEN = ["word20 word30", "word40"]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


def test_a_candidate_answers_nobody_until_it_is_promoted_by_hand(store: ModelStore, tmp_path: Path) -> None:
    candidate = write_model(tmp_path / "v2", 0, seed=2)
    own = {1: own_answers(store.folder / "1"), 2: own_answers(candidate)}
    with serving(store, WORKERS="2", **EAGER) as stack:
        until_workers_ready(stack)
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            manage(store, "publish", str(candidate), "--as", "candidate")
            until_running(stack, 2)
            wait_until(lambda: compared(stack) > 100, SWAP_S, "100 sentences are compared")
            assert traffic.versions == {1}
            assert state_of(stack, 2)[0] == "candidate"
            assert_shown(stack, own)
            manage(store, "promote")
            until_answered(traffic, 2)
        assert_undisturbed(traffic, own, stack)
        assert traffic.went_back == 0
        wait_until(lambda: candidate_of(stack) == {}, SWAP_S, "nothing is on trial")
        (ended,) = stack.client.get("/models").json()["ended_trials"]
        tallies = store.folder.parent
        wait_until(
            lambda: not list(tallies.glob(".candidate-classifier.*.json")), SWAP_S, "what was counted is deleted"
        )
    assert (ended["version"], ended["outcome"], ended["reason"]) == (2, "promoted", "by hand")
    assert ended["summary"]["compared"] > 100


def assert_shown(stack: Stack, own: Any) -> None:
    """The figures are those of the two versions' own answers, and nothing in them is a sentence."""
    now = candidate_of(stack)
    same = np.mean([own[1][sentence][0] == own[2][sentence][0] for sentence in own[1]])
    assert now["against"] == 1
    assert now["mode"] == "shadow"
    assert now["agreement"]["lower"] <= now["agreement"]["share"] <= now["agreement"]["upper"]
    assert abs(now["agreement"]["share"] - same) < 0.2
    assert set(now["by_label"]) == {"Animal", "Plant"}
    assert sum(counts["compared"] for counts in now["by_label"].values()) == now["agreement"]["compared"]
    assert set(now["by_script"]) == {"Latin"}
    assert now["errors"] == 0
    assert now["changes"] == []
    text = stack.client.get("/metrics").text
    assert samples(text, "classifier_candidate_version") == {frozenset(): 2}
    assert samples(text, "classifier_candidate_agreement")[frozenset({("bound", "lower")})] > 0
    assert samples(text, "classifier_mirrored_sentences_total")[frozenset({("outcome", "compared")})] > 100


def test_a_canary_answers_its_share_of_texts_and_the_same_ones_everywhere(store: ModelStore, tmp_path: Path) -> None:
    candidate = write_model(tmp_path / "v2", 1, seed=2)
    own = {1: own_answers(store.folder / "1"), 2: own_answers(candidate)}
    with (
        serving(store, WORKERS="2", SHADOW_SHARE="0") as stack,
        gateway_beside(stack, tmp_path / "beside.log") as beside,
    ):
        until_workers_ready(stack)
        manage(store, "publish", str(candidate), "--as", "candidate", "--canary", "0.5")
        until_running(stack, 2)
        wait_until(lambda: beside.metric("classifier_candidate_running") == 1, SWAP_S, "it is on trial there, too")
        with traffic_at(stack) as traffic:
            wait_until(lambda: traffic.asked > 3000, SWAP_S, "3000 requests")
        assert_undisturbed(traffic, own, stack)
        versions: dict[tuple[str, ...], set[int | None]] = {}
        for answer in traffic.answers:
            versions.setdefault(answer.question.sentences, set()).add(answer.version)
        assert {len(found) for found in versions.values()} == {1}, "each request is one version's"
        firsts: dict[str, set[int | None]] = {}
        for sentences, found in versions.items():
            firsts.setdefault(sentences[0], set()).update(found)
        assert {len(found) for found in firsts.values()} == {1}, "its first text says whose"
        share = np.mean([found == {2} for found in versions.values()])
        assert 0.4 < share < 0.6
        for sentences, found in list(versions.items())[:100]:
            answer = beside.client.post("/classify", json={"sentences": sentences})
            assert {int(answer.headers["x-model-version"])} == found
        counted = samples(stack.client.get("/metrics").text, "classifier_canary_sentences_total")
        assert set(counted) == {frozenset({("by", "candidate")})}
        assert (
            stack.client.get("/classify", params={"sentence": "word20", "version": 1}).headers["x-model-version"] == "1"
        )
        manage(store, "canary", "0")
        until_running(stack, 2, canary=0)
        with traffic_at(stack) as traffic:
            wait_until(lambda: traffic.asked > 500, SWAP_S, "500 requests")
        assert traffic.versions == {1}
        manage(store, "reject", "--reason", "seen enough")
        assert until_ended(store, 2, "rejected").reason == "seen enough"
        wait_until(lambda: state_of(stack, 2)[0] == "gone", SWAP_S, "version 2 is gone")
        assert stack.version() == 1


def write_failing(folder: Path, word: str) -> Path:
    """A version that answers all but the sentences with one word, of which its logits are no numbers."""
    model = MODELS[0]
    folder.mkdir(parents=True)
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *model["words"]])}
    votes = np.random.default_rng(5).integers(-64, 65, (len(vocabulary), 2)).astype(np.float32) / 64
    votes[vocabulary[word]] = np.nan
    write_graph(folder / MODEL_FILE, votes)
    write_tokenizer(folder / "tokenizer.json", vocabulary)
    write_manifest(folder, model["labels"], model["max_length"])
    return folder


def test_at_the_first_failure_the_current_version_answers_and_the_candidate_goes(
    store: ModelStore, tmp_path: Path
) -> None:
    failing = write_failing(tmp_path / "v2", "word7")
    own = {1: own_answers(store.folder / "1"), 2: own_answers(failing)}
    with serving(store, WORKERS="2", SHADOW_SHARE="0.1") as stack:
        until_workers_ready(stack)
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            manage(store, "publish", str(failing), "--as", "candidate", "--canary", "1")
            trial = until_ended(store, 2, "rejected")
            wait_until(lambda: state_of(stack, 2)[0] == "gone", SWAP_S, "version 2 is gone")
            asked = traffic.asked
            wait_until(lambda: traffic.asked > asked + 500, SWAP_S, "500 more requests")
        assert_undisturbed(traffic, own, stack)
        assert trial.reason is not None
        assert (
            "it failed to answer a request: Version 2 of the model gave a logit that is no finite number"
            in trial.reason
        )
        assert stack.version() == 1
        (ended,) = stack.client.get("/models").json()["ended_trials"]
        assert ended["reason"] == trial.reason


def test_a_candidate_that_answers_golden_sentences_otherwise_here_is_rejected(
    store: ModelStore, tmp_path: Path
) -> None:
    candidate = write_model(tmp_path / "v2", 0, seed=2)
    write_golden(candidate, GOLDEN)
    # As if another processor computed otherwise: the logits are those of other weights.
    shutil.copyfile(write_model(tmp_path / "other", 0, seed=3) / MODEL_FILE, candidate / MODEL_FILE)
    write_manifest(candidate, MODELS[0]["labels"], MODELS[0]["max_length"])
    own = {1: own_answers(store.folder / "1")}
    with serving(store, **EAGER) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            store.change_trials(lambda trials: trials.begun(2, Plan(canary=1)))
            shutil.copytree(candidate, store.folder / "2")  # `publish` would refuse it on this processor
            trial = until_ended(store, 2, "rejected")
        assert_undisturbed(traffic, own, stack)
    assert "golden sentences are answered otherwise" in (trial.reason or "")
    assert traffic.versions == {1}
