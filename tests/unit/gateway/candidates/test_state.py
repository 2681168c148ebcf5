"""A candidate never becomes current by being the newest, whenever the gateway learns of it."""

import asyncio
from pathlib import Path

import pytest

from gateway.candidates.state import LocalState
from gateway.files import LocalFiles
from gateway.versions import VersionFollower
from repository.candidates.deciding import end
from repository.candidates.trial import Plan, state_name
from repository.store import ModelStore
from tests.unit.gateway.test_versions import ScriptedTriton
from tests.version_folders import write_version


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Version 1 answers, version 2 is on trial."""
    store = ModelStore(tmp_path / "repository", "m")
    exported = write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})
    store.publish(exported)
    store.publish(exported, plan=Plan())
    return store


def followed(store: ModelStore, triton: ScriptedTriton, pinned: int | None = None) -> VersionFollower:
    follower = VersionFollower(triton, LocalFiles(store.folder), 0.1, pinned)  # type: ignore[arg-type]
    asyncio.run(follower.refresh())
    return follower


def current(follower: VersionFollower) -> int | None:
    return follower.current.number if follower.current is not None else None


def test_a_candidate_does_not_become_current_and_a_promoted_one_does(store: ModelStore) -> None:
    follower = followed(store, ScriptedTriton(1, 2))
    assert current(follower) == 1
    end(store, 2, "promoted", "by hand")
    asyncio.run(follower.refresh())
    assert current(follower) == 2


def test_a_rejected_version_that_triton_serves_still_does_not_answer(store: ModelStore) -> None:
    store.change_trials(lambda trials: trials.ended(2, "rejected", "it is slow"))
    assert current(followed(store, ScriptedTriton(1, 2))) == 1


def test_a_candidate_alone_is_no_version_that_answers(store: ModelStore) -> None:
    follower = followed(store, ScriptedTriton(2))
    assert current(follower) is None
    assert "version 2 is a candidate" in follower.problem


def test_a_pin_wins(store: ModelStore) -> None:
    assert current(followed(store, ScriptedTriton(1, 2), pinned=2)) == 2


def test_a_record_that_cannot_be_read_changes_nothing_that_is_known(store: ModelStore) -> None:
    state = LocalState(store.folder)
    assert asyncio.run(state.not_to_answer({1, 2})) == {2}
    path = store.folder.parent / state_name("m")
    path.write_text("{")
    assert asyncio.run(state.not_to_answer({1, 2})) == {2}
    path.unlink()
    assert asyncio.run(state.not_to_answer({1, 2})) == frozenset()
