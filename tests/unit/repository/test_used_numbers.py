"""A number is given out once, whichever programs publish in turn, and Triton has no reason to load a version again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.candidates.trial import Plan, state_name
from repository.config import ModelConfig
from repository.manifest import CONFIG_FILE
from repository.staging import new_staging
from repository.store import ModelStore
from repository.used_numbers import AHEAD, LOCK_FILE, RECORD_FILE
from tests.version_folders import write_version


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "repository", "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    return store


def published_by_0_1_0(store: ModelStore, exported: Path) -> int:
    """As that release does it: the number after that in its lock and those on the disk, which it notes in the lock."""
    lock = store.folder / LOCK_FILE
    text = lock.read_text().strip() if lock.exists() else ""
    number = max(int(text or 0), *store.numbers(), 0) + 1
    shutil.copytree(exported, store.folder / str(number))
    lock.write_text(f"{number}\n")
    return number


def reason_to_reload(model_folder: Path) -> int:
    """What Triton holds against every version: the newest time of what has another character than digits in its name.

    `ModelTimestamp::GetNonModelConfigNorVersionNorDirModifiedTime` in its core.
    """
    found = [0]
    for entry in model_folder.iterdir():
        if not (entry.name.isascii() and entry.name.isdecimal()) and entry.name != CONFIG_FILE:
            for path in (entry, *entry.rglob("*")):
                found.append(max(path.stat().st_mtime_ns, path.stat().st_ctime_ns))
    return max(found)


def test_the_number_in_the_lock_of_an_older_program_counts(store: ModelStore, exported: Path) -> None:
    (store.folder / RECORD_FILE).unlink()
    (store.folder / LOCK_FILE).write_text("7\n")
    assert store.publish(exported) == 8


def test_programs_that_publish_in_turn_repeat_no_number_though_the_newest_is_deleted_each_time(
    store: ModelStore, exported: Path
) -> None:
    given = []
    for turn in range(8):
        if turn % 3 == 2:
            given.append(published_by_0_1_0(store, exported))
        else:
            given.append(store.publish(exported))
        store.retract(given[-1])
    assert given == sorted(set(given))
    assert given[:4] == [1, 2, AHEAD + 1, AHEAD + 2]


def test_the_number_for_older_programs_stays_ahead(store: ModelStore, exported: Path) -> None:
    store._remember(AHEAD - 1)
    last = store.publish(exported)
    store.retract(last)
    assert last == AHEAD
    assert published_by_0_1_0(store, exported) == 2 * AHEAD + 1


@pytest.mark.parametrize("lost", [RECORD_FILE, LOCK_FILE])
def test_without_one_of_its_two_files_no_number_is_repeated(store: ModelStore, exported: Path, lost: str) -> None:
    first = store.publish(exported)
    store.retract(first)
    (store.folder / lost).unlink()
    assert store.publish(exported) > first


def operations() -> dict[str, Callable[[ModelStore, Path], object]]:
    """What is done to a repository in which the versions 1 and 2 are served."""
    return {
        "publish": lambda store, exported: store.publish(exported),
        "candidate": lambda store, exported: store.publish(exported, plan=Plan()),
        "rollback": lambda store, _: store.republish(1),
        "retract": lambda store, _: store.retract(2),
        "prune": lambda store, exported: (store.publish(exported), store.prune(keep=2)),
        "config": lambda store, _: store.change_config(lambda text: f"{text}\n"),
        "killed": lambda store, _: (new_staging(store.folder), store.retract(1)),
    }


@pytest.mark.parametrize("name", operations())
def test_nothing_gives_triton_a_reason_to_load_every_version_again(
    store: ModelStore, exported: Path, name: str
) -> None:
    store.publish(exported)
    store.publish(exported)
    before, seen = reason_to_reload(store.folder), []
    beside: set[str] = set()
    rename = Path.rename

    def watched(self: Path, to: Path) -> Path:
        seen.append(reason_to_reload(store.folder))  # while something is still in the place where it is written
        beside.update(path.name for path in store.folder.parent.iterdir())
        return rename(self, to)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", watched)
        operations()[name](store, exported)
    assert seen
    assert {*seen, reason_to_reload(store.folder)} == {before}
    assert beside <= {"classifier", state_name("classifier")}


def test_a_model_folder_on_another_file_system_takes_candidates(store: ModelStore, exported: Path) -> None:
    elsewhere = Path("/dev/shm", f"test-{store.folder.parent.parent.name}-{exported.stat().st_ino}")
    if elsewhere.parent.stat().st_dev == exported.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    shutil.copytree(store.folder, elsewhere)
    try:
        shutil.rmtree(store.folder)
        store.folder.symlink_to(elsewhere)
        assert [store.publish(exported), store.publish(exported, plan=Plan())] == [1, 2]
        assert store.answering() == [1]
        assert sorted(path.name for path in store.folder.parent.iterdir()) == [state_name("classifier"), "classifier"]
    finally:
        shutil.rmtree(elsewhere)
