"""Publishing, rolling back and pruning never leave half a version, lose one, or use a number twice."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.manifest import MANIFEST_FILE, MODEL_FILE, Manifest, RepositoryError
from repository.staging import is_staging
from repository.store import ModelStore
from tests.version_folders import write_manifest, write_version
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "repository", "classifier")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_version(tmp_path / "other", {"red": "Colour", "two": "Number"}, weight=3.0)


def staged(store: ModelStore) -> list[str]:
    return [path.name for path in store.folder.iterdir() if is_staging(path.name)]


def test_versions_are_numbered_from_one(store: ModelStore, exported: Path, other: Path) -> None:
    assert [store.publish(exported), store.publish(other)] == [1, 2]
    assert store.numbers() == [1, 2]
    store.verify(1)
    store.verify(2)


def test_only_the_files_of_the_manifest_are_published(store: ModelStore, exported: Path) -> None:
    (exported / "notes.txt").write_text("private")
    store.publish(exported)
    assert sorted(p.name for p in (store.folder / "1").iterdir()) == [MANIFEST_FILE, MODEL_FILE, "tokenizer.json"]


def test_a_number_is_never_used_twice(store: ModelStore, exported: Path) -> None:
    for _ in range(3):
        store.publish(exported)
    store.retract(3)
    assert store.publish(exported) == 4


def test_no_number_is_forgotten_and_a_version_is_deleted_where_nothing_can_be_written(
    store: ModelStore, exported: Path
) -> None:
    for _ in range(4):
        store.publish(exported)
    store.retract(4)
    with nothing_written():
        store.retract(3)
        assert store.prune(2) == []
    assert store.numbers() == [1, 2]
    assert store.publish(exported) == 5


def test_a_number_that_cannot_be_written_down_leaves_the_one_before(store: ModelStore, exported: Path) -> None:
    for _ in range(3):
        store.publish(exported)
    store.retract(3)
    (store.folder / "2").rename(store.folder / "7")  # by hand, past `publish`
    with nothing_written(), pytest.raises(OSError, match="too large"):
        store.retract(7)
    (store.folder / "7").rename(store.folder / "2")
    assert store.publish(exported) == 4


@contextlib.contextmanager
def nothing_written() -> Iterator[None]:
    """As on a full disk: a file may be made, but nothing can be written to it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_changed_file_is_not_published(store: ModelStore, exported: Path) -> None:
    with (exported / MODEL_FILE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(RepositoryError, match="export it again"):
        store.publish(exported)
    assert store.numbers() == []
    assert not staged(store)


def test_a_graph_that_does_not_load_is_not_published(store: ModelStore, exported: Path) -> None:
    (exported / MODEL_FILE).write_bytes((exported / MODEL_FILE).read_bytes()[:100])
    write_manifest(exported, ["Animal", "Plant"])
    with pytest.raises(RepositoryError, match="cannot run the graph"):
        store.publish(exported)
    assert store.numbers() == []


def test_labels_must_fit_the_logits(store: ModelStore, exported: Path) -> None:
    write_manifest(exported, ["Animal", "Plant", "Stone"])
    with pytest.raises(RepositoryError, match="3 labels"):
        store.publish(exported)


def test_a_symbolic_link_is_not_followed(store: ModelStore, exported: Path, tmp_path: Path) -> None:
    (exported / MODEL_FILE).rename(tmp_path / "elsewhere.onnx")
    (exported / MODEL_FILE).symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(RepositoryError, match="regular file"):
        store.publish(exported)


def test_overwriting_a_published_file_is_detected(store: ModelStore, exported: Path, other: Path) -> None:
    store.publish(exported)
    (store.folder / "1" / MODEL_FILE).write_bytes((other / MODEL_FILE).read_bytes())
    with pytest.raises(RepositoryError, match="not the file"):
        store.verify(1)


def test_rollback_publishes_the_version_before_as_a_new_number(store: ModelStore, exported: Path, other: Path) -> None:
    store.publish(exported)
    store.publish(other)
    assert store.rollback() == (1, 3)
    manifest = Manifest.read(store.folder / "3")
    assert manifest.labels == ["Animal", "Plant"]
    assert manifest.republished_from == 1
    # Once more: forward again to the content that differs from the current one.
    assert store.rollback() == (2, 4)


def test_rollback_without_an_older_version_says_so(store: ModelStore, exported: Path) -> None:
    with pytest.raises(RepositoryError, match="holds no version"):
        store.rollback()
    store.publish(exported)
    with pytest.raises(RepositoryError, match="no older version differs"):
        store.rollback()
    with pytest.raises(RepositoryError, match="version 7 of classifier does not exist"):
        store.rollback(7)


def test_prune_spares_a_pinned_version(store: ModelStore, exported: Path) -> None:
    for _ in range(4):
        store.publish(exported)
    assert store.prune(keep=2, spared=1) == [2]
    assert store.numbers() == [1, 3, 4]


def test_prune_keeps_the_newest(store: ModelStore, exported: Path) -> None:
    for _ in range(5):
        store.publish(exported)
    assert store.prune(keep=2) == [1, 2, 3]
    assert store.numbers() == [4, 5]
    with pytest.raises(ValueError, match="at least 2"):
        store.prune(keep=1)


def test_two_publishers_get_two_numbers(store: ModelStore, exported: Path) -> None:
    command = [
        sys.executable, "-m", "repository", "publish", str(exported), "--repository", str(store.folder.parent)
    ]  # fmt: skip
    publishers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [publisher.wait(timeout=60) for publisher in publishers] == [0] * 4
    assert store.numbers() == [1, 2, 3, 4]


def test_a_killed_publish_leaves_nothing_that_counts_and_the_next_cleans_up(store: ModelStore, exported: Path) -> None:
    store.publish(exported)
    with (exported / MODEL_FILE).open("ab") as stream:
        stream.truncate(300_000_000)  # sparse, but slow to copy and to hash
    write_manifest(exported, ["Animal", "Plant"])
    script = (
        "import sys; from pathlib import Path; from repository.store import ModelStore;"
        "ModelStore(Path(sys.argv[1]), 'classifier').publish(Path(sys.argv[2]))"
    )
    publisher = subprocess.Popen([sys.executable, "-c", script, str(store.folder.parent), str(exported)])
    wait_until(lambda: staged(store), 30, "it begins to copy", pause_s=0.005)
    os.kill(publisher.pid, signal.SIGKILL)
    publisher.wait()
    assert store.numbers() == [1]
    store.verify(1)
    assert staged(store), "the kill came too late to show anything"
    store.prune(keep=2)
    assert not staged(store)


def test_folders_that_are_no_versions_are_not_listed(store: ModelStore, exported: Path) -> None:
    store.publish(exported)
    for name in ("0", "01", "abc", "1.5", "²"):
        (store.folder / name).mkdir()
    assert store.numbers() == [1]


def test_an_unreadable_version_is_listed_with_the_reason(store: ModelStore, exported: Path) -> None:
    store.publish(exported)
    (store.folder / "2").mkdir()
    problem = store.versions()[1].problem
    assert problem is not None
    assert "manifest.json is missing" in problem
