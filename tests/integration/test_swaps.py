"""Models change while 64 connections ask without pause: no request fails, and every answer is its version's own."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repository.manifest import MODEL_FILE, TOKENIZER_FILE
from repository.store import ModelStore
from tests.integration.stack import Stack
from tests.integration.swapping import (
    MODELS,
    SWAP_S,
    assert_failed,
    assert_undisturbed,
    is_own,
    new_store,
    own_answers,
    serving,
    state_of,
    traffic_at,
    until_answered,
    until_failed,
    write_model,
)
from tests.version_folders import write_manifest
from tests.waiting import wait_until

SWAPS, REQUESTS = 20, 20_000
SOONER_THAN_TRITON = "100"
"""VERSION_POLL_MS with which the gateway has seen an overwritten file before Triton can have loaded it."""
STUB = "triton_python_backend_stub"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return new_store(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def shared_stack(shared_store: ModelStore) -> Iterator[Stack]:
    with serving(shared_store) as running:
        yield running


def test_twenty_swaps_under_load_cost_no_request_and_mix_no_two_versions(store: ModelStore, tmp_path: Path) -> None:
    exported = {number: write_model(tmp_path / f"v{number}", number - 1, number) for number in range(2, SWAPS + 2)}
    own = {number: own_answers(folder) for number, folder in {1: store.folder / "1", **exported}.items()}
    with serving(store) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            for number, folder in exported.items():
                assert store.publish(folder) == number
                until_answered(traffic, number)
            wait_until(lambda: traffic.asked >= REQUESTS, 60, f"{REQUESTS} requests")
        assert_undisturbed(traffic, own, stack)
    assert traffic.versions == set(own)
    assert traffic.went_back == 0


def test_a_version_that_triton_unloads_before_the_gateway_looks_costs_no_request(
    store: ModelStore, tmp_path: Path
) -> None:
    exported = [write_model(tmp_path / f"v{number}", number - 1, number) for number in (2, 3)]
    own = {number: own_answers(folder) for number, folder in enumerate([store.folder / "1", *exported], 1)}
    with serving(store, VERSION_POLL_MS="5000") as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            for folder in exported:  # Triton keeps two
                store.publish(folder)
            until_answered(traffic, 3)
        assert_undisturbed(traffic, own, stack)


def break_graph(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(b"no graph")
    write_manifest(folder, MODELS[1]["labels"])


def lose_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER_FILE).unlink()


def change_tokenizer(folder: Path) -> None:
    with (folder / TOKENIZER_FILE).open("a") as stream:
        stream.write("\n")


def name_too_few_labels(folder: Path) -> None:
    write_manifest(folder, MODELS[0]["labels"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (break_graph, "model.onnx failed:Protobuf parsing failed"),
        (lose_tokenizer, "tokenizer.json is missing"),
        (change_tokenizer, "tokenizer.json is not the file that manifest.json describes"),
        (name_too_few_labels, "3 logits for the manifest's 2 labels"),
    ],
)
def test_a_broken_version_is_reported_and_disturbs_nobody(
    shared_stack: Stack, shared_store: ModelStore, tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    current = shared_store.numbers()[-1]
    broken, mended = current + 1, current + 2
    damage(write_model(tmp_path / "broken", 1, seed=broken))
    good = write_model(tmp_path / "good", 1, seed=mended)
    own = {current: own_answers(shared_store.folder / str(current)), mended: own_answers(good)}
    with traffic_at(shared_stack) as traffic:
        until_answered(traffic, current)
        shutil.copytree(tmp_path / "broken", shared_store.folder / str(broken))  # `publish` would refuse it
        until_failed(shared_stack, broken, reason)
        for _ in range(25):  # it is tried again meanwhile
            time.sleep(0.1)
            assert_failed(shared_stack, broken, reason)
        shared_store.retract(broken)
        assert shared_store.publish(good) == mended
        until_answered(traffic, mended)
        wait_until(lambda: state_of(shared_stack, broken)[0] == "gone", SWAP_S, "the broken version is forgotten")
    assert_undisturbed(traffic, own, shared_stack)
    assert traffic.went_back == 0


def replace_weights(folder: Path, other: Path) -> None:
    shutil.copyfile(other / MODEL_FILE, folder / MODEL_FILE)


def replace_all(folder: Path, other: Path) -> None:
    for path in other.iterdir():
        shutil.copyfile(path, folder / path.name)


@pytest.mark.parametrize(
    ("replace", "other_model", "reason"),
    [
        (replace_weights, 1, "model.onnx is not the file that manifest.json describes"),
        (replace_all, 0, "replaced by another in place"),
    ],
)
def test_the_version_before_takes_over_when_the_current_one_is_overwritten_in_place(
    store: ModelStore, tmp_path: Path, replace: Callable[[Path, Path], None], other_model: int, reason: str
) -> None:
    store.publish(write_model(tmp_path / "v2", 1, seed=2))
    good = write_model(tmp_path / "good", 1, seed=3)
    other = write_model(tmp_path / "other", other_model, seed=4)
    own = {
        number: own_answers(folder) for number, folder in enumerate([store.folder / "1", store.folder / "2", good], 1)
    }
    with serving(store, VERSION_POLL_MS=SOONER_THAN_TRITON) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 2)
            replace(store.folder / "2", other)
            until_failed(stack, 2, reason)
            until_answered(traffic, 1)
        assert_undisturbed(traffic, own, stack)
        with traffic_at(stack) as traffic:
            time.sleep(4)  # Triton takes the files in, and the gateway tries them again
            assert_failed(stack, 2, reason)
            assert traffic.versions == {1}
            assert store.publish(good) == 3
            until_answered(traffic, 3)
        assert_undisturbed(traffic, own, stack)


def test_a_lone_version_that_is_overwritten_in_place_does_not_answer_until_a_good_one_is_published(
    store: ModelStore, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other", 0, seed=2)
    good = write_model(tmp_path / "good", 1, seed=3)
    own = {1: own_answers(store.folder / "1"), 2: own_answers(good)}
    with serving(store, VERSION_POLL_MS=SOONER_THAN_TRITON) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            replace_weights(store.folder / "1", other)
            until_failed(stack, 1, "model.onnx is not the file")
            time.sleep(2)  # Triton takes the files in, and the gateway tries them again
            assert stack.classify("word1").status_code == 503
            assert store.publish(good) == 2
            until_answered(traffic, 2)
        refused = {answer for answer in traffic.answers if answer.status == 503}
        assert {answer.json()["error"] for answer in refused} == {
            "Triton serves no usable version of classifier; publish one."
        }
        assert all(is_own(answer, own) for answer in traffic.answers if answer not in refused)


def test_rewriting_the_current_version_s_files_as_they_are_disturbs_nobody(store: ModelStore) -> None:
    folder = store.folder / "1"
    own = {1: own_answers(folder)}
    with serving(store) as stack:
        stubs = stack.processes(STUB)
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            for path in folder.iterdir():
                path.write_bytes(path.read_bytes())
            wait_until(lambda: not set(stack.processes(STUB)) & set(stubs), SWAP_S, "Triton has loaded the files again")
            assert state_of(stack, 1) == ("current", "")
        assert_undisturbed(traffic, own, stack)
        assert "not used" not in stack.log.read_text()
