"""Whatever keys, metadata and files lie about, followers of a bucket keep to their folders, and end when told."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.files import S3Files
from repository.location import S3Location
from repository.manifest import MODEL_FILE, TOKENIZER_FILE
from repository.mirror import Mirror
from repository.s3_store import NUMBERS, S3Store
from repository.staging import is_staging
from tests.s3_server import BUCKET, S3Server
from tests.version_folders import write_version
from tests.waiting import wait_until

NO_MODEL_NAMES = ["..", ".", "", ".hidden", "-x", "a b", "a\\b", "[red]", "x" * 300]
NO_NUMBERS = ["0", "01", "-1", "1e3", "1.bak", "+1", " 1", "٣", "9" * 400]
SOON_S = 20


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Of as few files as can be."""
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})


def label(server: S3Server, key: str, sha256: str) -> None:
    """Write an object anew with other metadata, as a tool of somebody else may have."""
    server.client.put_object(Bucket=BUCKET, Key=key, Body=server.read(key), Metadata={"sha256": sha256})


def test_a_key_that_is_no_models_name_writes_and_deletes_nothing(
    server: S3Server, store: S3Store, exported: Path, name: str, tmp_path: Path
) -> None:
    store.publish(exported)
    for bad in NO_MODEL_NAMES:
        server.write(f"{name}/{bad}/config.pbtxt", store.config().encode())
        server.write(f"{name}/{bad}/1/manifest.json", server.read(f"{name}/classifier/1/manifest.json"))
        for file in (MODEL_FILE, TOKENIZER_FILE):
            server.write(f"{name}/{bad}/1/{file}", (exported / file).read_bytes())
    cache = tmp_path / "cache"
    (cache / "7").mkdir(parents=True)  # whatever is beside the copy stays
    assert Mirror(S3Location.parse(server.repository(name)), cache / "mirror").sync() == 1
    assert sorted(path.name for path in cache.iterdir()) == ["7", "mirror"]
    assert [path.name for path in (cache / "mirror").iterdir()] == ["classifier"]


def test_a_folder_that_is_no_versions_number_is_left_alone(
    server: S3Server, store: S3Store, exported: Path, name: str, tmp_path: Path
) -> None:
    for bad in NO_NUMBERS:
        server.write(f"{name}/classifier/{bad}/manifest.json", b"{}")
        server.write(f"{name}/classifier/{NUMBERS}/{bad}", b"")
    assert [store.publish(exported), store.publish(exported)] == [1, 2]
    assert store.numbers() == [1, 2]
    mirror = tmp_path / "mirror"
    for bad in ("1.bak", "01", ".old"):
        (mirror / "classifier" / bad).mkdir(parents=True)
    assert Mirror(S3Location.parse(server.repository(name)), mirror).sync() == 2
    found = {path.name for path in (mirror / "classifier").iterdir() if path.is_dir()}
    assert found == {"1", "2", "1.bak", "01", ".old"}
    assert store.prune(2) == []


@pytest.mark.parametrize("sha256", ["none", "", "0" * 63, "Z" * 64, "a" * 65])
def test_a_digest_of_another_form_in_the_metadata_counts_as_none(
    server: S3Server, store: S3Store, exported: Path, name: str, sha256: str, tmp_path: Path
) -> None:
    store.publish(exported)
    label(server, f"{name}/classifier/1/{MODEL_FILE}", sha256)
    files = S3Files(store, tmp_path / "cache", 1)
    files.look(served=[1])
    assert files.problems == {}


def test_a_digest_in_capital_letters_is_the_same_digest(
    server: S3Server, store: S3Store, exported: Path, name: str, tmp_path: Path
) -> None:
    store.publish(exported)
    manifest = store.manifest(1)
    label(server, f"{name}/classifier/1/{MODEL_FILE}", manifest.files[MODEL_FILE].sha256.upper())
    files = S3Files(store, tmp_path / "cache", 1)
    files.look(served=[1])
    assert files.problems == {}
    label(server, f"{name}/classifier/1/{MODEL_FILE}", "A" * 64)
    files = S3Files(store, tmp_path / "cache", 1)
    files.look(served=[1])
    assert "publish the version again" in files.problems[1]


def test_the_gateways_follower_outlives_whatever_lies_in_its_cache_and_goes_wrong(
    store: S3Store,
    exported: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache"
    for foreign in ("1.bak", "9x", "0"):
        (cache / foreign).mkdir(parents=True)
    (cache / "7").mkdir()  # an old version of ours
    (cache / "2-notes.txt").write_text("mine")
    store.publish(exported)
    listing, looks = store.listing, 0

    def failing() -> object:
        nonlocal looks
        looks += 1
        if looks <= 5:
            raise [ValueError("unforeseen"), OSError(28, "No space left", f"/tmp/{looks}")][looks > 3]
        return listing()

    monkeypatch.setattr(store, "listing", failing)

    async def follow() -> None:
        following = asyncio.create_task(S3Files(store, cache, 0.01).follow(lambda: [1]))
        await asyncio.to_thread(wait_until, lambda: looks > 8, SOON_S, "it goes on looking")
        assert not following.done()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(following, SOON_S)

    with caplog.at_level(logging.ERROR):
        asyncio.run(follow())
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "The repository cannot be looked at: ValueError",
        "The repository cannot be looked at: No space left",
    ]
    assert caplog.records[0].exc_info, "what nobody foresaw comes with its trace"
    assert sorted(path.name for path in cache.iterdir()) == ["0", "1", "1.bak", "2-notes.txt", "9x"]


def test_a_mirror_tells_each_models_problem_once_and_brings_the_others_in_line(
    server: S3Server, store: S3Store, exported: Path, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.publish(exported)
    for model, text in (("a", b"\xff\xfe"), ("b", b"max_batch_size: [/x]")):
        server.write(f"{name}/{model}/config.pbtxt", text)
    mirror = Mirror(S3Location.parse(server.repository(name)), tmp_path / "mirror")
    with caplog.at_level(logging.ERROR):
        assert [mirror.sync() for _ in range(3)] == [1, 1, 1]
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" ")[0] for line in told] == ["a", "b"]


@pytest.mark.parametrize("moment", ["downloading", "waiting"])
def test_the_process_that_syncs_ends_at_once_when_told_with_nothing_by_half(
    server: S3Server, store: S3Store, exported: Path, name: str, moment: str, tmp_path: Path
) -> None:
    store.publish(exported)
    if moment == "downloading":
        server.write(f"{name}/classifier/1/{MODEL_FILE}", bytes(64 * 2**20))
    folder = tmp_path / "mirror"
    model = folder / "classifier"
    command = [sys.executable, "-m", "repository", "sync", str(folder), "--follow"]
    settings = {"MODEL_REPOSITORY": server.repository(name), "REPOSITORY_POLL_SECONDS": "600"}
    process = subprocess.Popen([*as_process_1(), *command], env={**os.environ, **settings})
    try:
        begun = f"0*/1/{MODEL_FILE}" if moment == "downloading" else "config.pbtxt"
        wait_until(lambda: any(model.glob(begun)), SOON_S, "it has begun", pause_s=0.01)
        os.kill(child_of(process.pid) if as_process_1() else process.pid, signal.SIGTERM)
        assert process.wait(timeout=SOON_S) == 0
    finally:
        process.kill()
    left = {path.name for path in model.iterdir()}
    assert not [entry for entry in left if is_staging(entry)]
    assert ("1" in left) == (moment == "waiting")


def as_process_1() -> list[str]:
    """What makes a program process 1, as in a container: the kernel's own handling of signals is off for it."""
    command = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
        return command
    return []


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
