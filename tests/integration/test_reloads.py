"""Whatever is published or deleted, a real Triton that polls loads each version once, and nothing else."""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from repository.candidates.deciding import end
from repository.candidates.trial import Plan
from repository.store import ModelStore
from tests.integration.stack import Stack
from tests.integration.swapping import SWAP_S, new_store, serving, state_of, write_model
from tests.integration.test_s3 import new_s3_store
from tests.integration.test_s3 import serving as serving_s3
from tests.s3_server import CREDENTIALS, environment, s3_server
from tests.student_versions import write_with_student
from tests.waiting import wait_until

TELLS_LOADS = "1"
"""TRITON_LOG_VERBOSE with which Triton writes a line for each instance that it makes."""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


@pytest.fixture
def stack(store: ModelStore) -> Iterator[Stack]:
    with serving(store, TRITON_LOG_VERBOSE=TELLS_LOADS) as running:
        yield running


def loads(stack: Stack, folder: Path, model: str = "classifier") -> int:
    """How many times Triton has loaded a version of the model, whichever, once it has seen all that is there now."""
    for _ in range(2):  # after the second look, what the first one found is loaded in every model
        looked = looks(stack)
        os.utime(folder)
        wait_until(partial(has_looked, stack, looked), SWAP_S, "Triton looks at the model")
    return stack.log.read_text().count(f"InstanceInitialize: {model}_0_0 ")


def has_looked(stack: Stack, before: int) -> bool:
    return looks(stack) > before


def looks(stack: Stack) -> int:
    return stack.log.read_text().count("successfully loaded 'classifier'")


def until_current(stack: Stack, number: int) -> None:
    wait_until(lambda: stack.version() == number, SWAP_S, f"version {number} is current")


def models(stack: Stack) -> set[str]:
    """What Triton takes for a model."""
    index = httpx.post(f"http://127.0.0.1:{stack.ports['TRITON_HTTP_PORT']}/v2/repository/index").json()
    return {entry["name"] for entry in index}


def assert_no_complaint(stack: Stack) -> None:
    """No look of Triton's went wrong."""
    log = stack.log.read_text()
    assert not re.findall(r".*(?:[Pp]oll failed|failed to poll|failed to load|Failed to determine).*", log)


def test_each_version_is_loaded_once_whatever_happens_to_others(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    assert loads(stack, store.folder) == 1
    assert store.publish(write_model(tmp_path / "v2", 1, seed=2)) == 2
    until_current(stack, 2)
    assert loads(stack, store.folder) == 2
    assert store.rollback() == (1, 3)
    until_current(stack, 3)
    assert loads(stack, store.folder) == 3
    assert store.prune(keep=2) == [1]
    assert loads(stack, store.folder) == 3
    store.retract(3)
    until_current(stack, 2)
    assert loads(stack, store.folder) == 3
    assert store.publish(write_model(tmp_path / "v4", 0, seed=4)) == 4
    until_current(stack, 4)
    assert loads(stack, store.folder) == 4
    assert models(stack) == {"classifier"}
    assert_no_complaint(stack)


def test_a_candidate_comes_and_goes_and_what_answers_is_not_loaded_again(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    assert store.publish(write_model(tmp_path / "v2", 1, seed=2), plan=Plan()) == 2
    wait_until(lambda: state_of(stack, 2)[0] == "candidate", SWAP_S, "the candidate is served")
    assert loads(stack, store.folder) == 2
    end(store, 2, "rejected", "by hand")
    wait_until(lambda: 2 not in store.numbers(), SWAP_S, "the rejected version is gone")
    assert loads(stack, store.folder) == 2
    assert stack.version() == 1
    assert_no_complaint(stack)


def test_students_are_loaded_once_too(store: ModelStore, tmp_path: Path) -> None:
    words = {"cow": "animal", "oak": "plant"}
    assert store.publish(write_with_student(tmp_path / "v2", words, {"cow": 9.0})) == 2
    with serving(store, TRITON_LOG_VERBOSE=TELLS_LOADS) as stack:
        until_current(stack, 2)
        assert loads(stack, store.folder, "classifier.student") == 1
        for number in (3, 4):
            folder = write_with_student(tmp_path / f"v{number}", words, {"oak": float(number)})
            assert store.publish(folder) == number
            until_current(stack, number)
            assert loads(stack, store.folder, "classifier.student") == number - 1
        assert store.prune(keep=2) == [1, 2]
        assert loads(stack, store.folder) == 4
        assert loads(stack, store.folder, "classifier.student") == 3
        assert models(stack) == {"classifier", "classifier.student"}
        assert_no_complaint(stack)


def test_a_version_from_s3_leaves_those_before_it_loaded(tmp_path: Path) -> None:
    with environment(CREDENTIALS), s3_server(tmp_path / "s3.log") as server:
        store = new_s3_store(server, "reloads", tmp_path)
        with serving_s3(store, tmp_path, TRITON_LOG_VERBOSE=TELLS_LOADS) as stack:
            (mirrored,) = (tmp_path / "cache" / "triton").rglob("classifier")
            local = ModelStore(mirrored.parent, "classifier")
            for number in (2, 3):
                assert store.publish(write_model(tmp_path / f"v{number}", number - 1, seed=number)) == number
                until_current(stack, number)
                wait_until(lambda: len(local.numbers()) <= 2, SWAP_S, "what Triton does not load is no longer kept")
                assert loads(stack, mirrored) == number
            store.retract(3)
            # Triton has let go of version 1, and the mirror brings it again.
            wait_until(lambda: local.numbers() == [1, 2], SWAP_S, "the mirror follows")
            until_current(stack, 2)
            assert loads(stack, mirrored) == 4
            assert_no_complaint(stack)
