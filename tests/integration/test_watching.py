"""What is counted of live sentences, and how far they are from the version's profile, whichever worker is asked."""

import http.client
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from repository.manifest import Manifest, digest_file
from repository.stability import MUCH, stability_index
from repository.store import ModelStore
from repository.training_profile import LENGTH_EDGES, PROFILE_FILE, SCORE_EDGES, TrainingProfile, binned
from tests.integration.gateways import Gateway, gateway_beside, versions_of_workers
from tests.integration.stack import Stack
from tests.integration.test_service import NATURE, new_store
from tests.version_folders import write_version
from tests.waiting import wait_until

SENTENCES = 300
WINDOW = {"WATCH": "true", "WATCH_WINDOW_MINUTES": "60"}


def sentence(dealer: random.Random, cats: float) -> str:
    return " ".join("cat" if dealer.random() < cats else "oak" for _ in range(dealer.choice((1, 3, 5))))


def profile() -> TrainingProfile:
    """Of sentences as `sentence(dealer, 0.5)` gives them: half of them is of animals, none has an unknown word."""
    lengths = binned(LENGTH_EDGES, [length + 2 for length in (1, 3, 5)])
    dealer = random.Random(1)
    scores = [2 * abs(sentence(dealer, 0.5).split().count("cat") / 5 - 0.5) for _ in range(9)]
    return TrainingProfile(
        texts=900,
        texts_origin="train split of a test",
        answers=900,
        answers_origin="test split of a test",
        labels={"Animal": 450, "Plant": 450},
        score_edges=list(SCORE_EDGES),
        scores=[100 * count for count in binned(SCORE_EDGES, scores)],
        length_edges=list(LENGTH_EDGES),
        lengths=[300 * count for count in lengths],
        scripts={"Latin": 900},
        with_unknown=0,
        unknown_token_share=0.0,
    )


def with_profile(folder: Path) -> Path:
    profile().write(folder)
    manifest = Manifest.read(folder)
    files = {**manifest.files, PROFILE_FILE: digest_file(folder / PROFILE_FILE)}
    manifest.model_copy(update={"files": files}).write(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watching")


@pytest.fixture(scope="module")
def store(folder: Path) -> ModelStore:
    store = new_store(folder)
    store.publish(with_profile(write_version(folder / "profiled", NATURE)))
    return store


@pytest.fixture(scope="module")
def stack(store: ModelStore, folder: Path) -> Iterator[Stack]:
    """Its own gateway watches nothing."""
    with Stack(store.folder.parent, folder / "log") as running:
        wait_until(lambda: running.version() == 2, 20, "the profiled version answers")
        yield running


def ask_all(port: int, sentences: list[str]) -> None:
    """Each over a connection of its own, which the kernel deals to any worker."""

    def ask(text: str) -> None:
        status = 503
        while status == 503:  # of two workers, one may be ready before the other
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/classify?sentence={quote(text)}")
            status = connection.getresponse().status
            connection.close()
        assert status == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, sentences))


def until_all_follow(gateway: Gateway, version: int | None) -> None:
    """Until no worker is met that is starting, or has not yet got beyond an older version."""
    url = f"http://127.0.0.1:{gateway.port}"
    wait_until(lambda: versions_of_workers(url) == {version}, 20, f"each worker answers with version {version}")


def drift(gateway: Gateway) -> dict[str, Any]:
    models = gateway.client.get("/models").json()
    found: dict[str, Any] = next(one for one in models["versions"] if one["state"] == "current")["drift"]
    return found


def shift(gateway: Gateway, of: str) -> dict[str, Any]:
    return next(one for one in drift(gateway)["shifts"] if one["of"] == of)


def test_nothing_is_counted_unless_it_is_asked_for(stack: Stack) -> None:
    assert stack.classify("cat").status_code == 200
    assert "classifier_answers_by_label_total{" not in stack.client.get("/metrics").text
    assert stack.client.get("/models").json()["versions"][0]["drift"] is None


def test_two_workers_count_as_one_and_tell_what_moved(stack: Stack, folder: Path) -> None:
    dealer = random.Random(0)
    usual = [sentence(dealer, 0.5) for _ in range(SENTENCES)]
    with gateway_beside(stack, folder / "two.log", WORKERS="2", **WINDOW) as gateway:
        until_all_follow(gateway, stack.version())
        ask_all(gateway.port, usual)
        metric = gateway.metric
        by_label = [f'classifier_answers_by_label_total{{label="{label}"}}' for label in ("Animal", "Plant")]
        wait_until(lambda: sum(map(metric, by_label)) == SENTENCES, 15, "both workers have added what they counted")
        assert metric('classifier_sentences_by_script_total{script="Latin"}') == SENTENCES
        assert metric('classifier_sentences_by_length_total{upto="4"}') > 0
        assert metric("classifier_drift_sentences") == SENTENCES
        animals, plants = map(metric, by_label)
        assert shift(gateway, "label")["index"] == pytest.approx(
            stability_index([450, 450], [animals, plants]), abs=1e-3
        )
        for of in ("label", "length", "script", "unknown"):
            assert not shift(gateway, of)["large"], of
        assert drift(gateway)["unknown_token_share"] == 0

        ask_all(gateway.port, ["кот кот"] * SENTENCES + ["oak Ω oak oak oak oak oak oak"] * SENTENCES)
        wait_until(lambda: metric("classifier_drift_sentences") == 3 * SENTENCES, 15, "these are counted as well")
        for of in ("script", "length", "unknown"):
            assert shift(gateway, of)["large"], of
            assert (
                metric(f'classifier_drift_index{{of="{of}"}}') > metric(f'classifier_drift_limit{{of="{of}"}}') >= MUCH
            )
        assert metric('classifier_unknown_token_share{when="now"}') > 0.1


def test_a_window_forgets_and_few_sentences_say_nothing(stack: Stack, folder: Path) -> None:
    short = {**WINDOW, "WATCH_WINDOW_MINUTES": "0.05"}
    with gateway_beside(stack, folder / "short.log", **short) as gateway:
        ask_all(gateway.port, ["oak oak"] * 99)
        assert gateway.metric("classifier_drift_sentences") <= 99
        assert drift(gateway)["shifts"] == []
        ask_all(gateway.port, ["oak oak"] * SENTENCES)
        wait_until(lambda: drift(gateway)["sentences"] == 0, 20, "the window has passed them by")
        assert gateway.metric('classifier_answers_by_label_total{label="Plant"}') == SENTENCES + 99, (
            "counters never fall"
        )


def test_another_version_begins_a_window_of_its_own(stack: Stack, store: ModelStore, folder: Path) -> None:
    with gateway_beside(stack, folder / "swap.log", **{**WINDOW, "WATCH_WINDOW_MINUTES": "0.5"}) as gateway:
        ask_all(gateway.port, ["oak oak"] * 150)
        assert drift(gateway)["sentences"] == 150
        answer = gateway.client.get("/classify", params={"sentence": "cat", "version": 1})
        assert answer.headers["x-model-version"] == "1"
        assert drift(gateway)["sentences"] == 150, "another version's answer is not of the current one"
        number = store.publish(write_version(folder / "third", {"cat": "Pet", "oak": "Tree"}))
        wait_until(lambda: stack.version() == number, 20, "it answers")
        wait_until(lambda: gateway.client.get("/health/ready").json()["version"] == number, 20, "here, too")
        wait_until(lambda: drift(gateway)["sentences"] == 0, 10, "its window is empty")
        assert drift(gateway)["profile"] is False
        ask_all(gateway.port, ["cat"])
        wait_until(lambda: drift(gateway)["sentences"] == 1, 10, "its own are counted")
        assert drift(gateway)["shifts"] == []
        assert gateway.metric('classifier_answers_by_label_total{label="Pet"}') == 1


def test_of_two_workers_none_counts_the_version_before_for_the_next(
    stack: Stack, store: ModelStore, folder: Path
) -> None:
    settings = {**WINDOW, "WATCH_WINDOW_MINUTES": "0.5", "WORKERS": "2"}
    with gateway_beside(stack, folder / "two-swap.log", **settings) as gateway:
        until_all_follow(gateway, stack.version())
        ask_all(gateway.port, ["oak oak"] * 150)
        wait_until(lambda: drift(gateway)["sentences"] == 150, 10, "both have added what they counted")
        number = store.publish(write_version(folder / "fourth", {"cat": "Beast", "oak": "Wood"}))
        wait_until(lambda: drift(gateway)["sentences"] == 0, 20, "the worker that is asked has noticed")
        asked = 0
        # Those that come while the workers notice are in no window; the old version's 150 never are in the new one.
        while not drift(gateway)["sentences"]:
            ask_all(gateway.port, ["cat"] * 10)
            asked += 10
        assert drift(gateway)["sentences"] <= asked
        assert gateway.client.get("/health/ready").json()["version"] == number
        before = drift(gateway)["sentences"]
        ask_all(gateway.port, ["cat"] * 40)
        wait_until(lambda: drift(gateway)["sentences"] >= before + 40, 20, "all of them are counted from then on")
