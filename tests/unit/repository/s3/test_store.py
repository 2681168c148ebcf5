"""Versions in S3: whole or not there, under numbers that are never used twice, whoever publishes, by any command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repository.bucket import NotChangedError
from repository.config import parse_config, with_pin
from repository.location import S3Location
from repository.manifest import MANIFEST_FILE, MODEL_FILE, RepositoryError
from repository.mirror import Mirror
from repository.s3_store import S3Store
from tests.s3_server import CREDENTIALS, SECRET, S3Server, environment
from tests.version_folders import versions_in, write_version


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_version(tmp_path / "other", {"red": "Colour", "two": "Number"}, weight=3.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket", S3Location("bucket")),
        ("s3://bucket/a/b/", S3Location("bucket", "a/b")),
        ("s3://127.0.0.1:9000/bucket/a", S3Location("bucket", "a", "http://127.0.0.1:9000")),
        ("s3://https://store.example:443/bucket", S3Location("bucket", "", "https://store.example:443")),
    ],
)
def test_an_address_is_read_as_triton_reads_it(text: str, expected: S3Location) -> None:
    assert S3Location.parse(text) == expected
    assert S3Location.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["s3://", "s3://127.0.0.1:9000", "s3://B_cket/x", f"s3://key:{SECRET}@bucket/x"])
def test_a_wrong_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"written s3://|credentials do not belong") as caught:
        S3Location.parse(text)
    assert SECRET not in str(caught.value)


def test_the_manifest_is_uploaded_last(store: S3Store, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    bucket = store._bucket
    upload, write = bucket.upload, bucket.write
    monkeypatch.setattr(bucket, "upload", lambda path, name, digest: (written.append(name), upload(path, name, digest)))
    monkeypatch.setattr(bucket, "write", lambda name, *a, **k: (written.append(name), write(name, *a, **k)))
    assert store.publish(exported) == 1
    assert written == [".numbers/1", "1/tokenizer.json", "1/golden.json", "1/model.onnx", "1/manifest.json"]
    store.verify(1)
    store.replay(1)


def test_without_its_manifest_a_version_is_none(
    store: S3Store, server: S3Server, exported: Path, name: str, tmp_path: Path
) -> None:
    store.publish(exported)
    store.publish(exported)
    server.delete(f"{name}/classifier/2/{MANIFEST_FILE}")
    assert store.numbers() == [1]
    assert store.incomplete() == [2]
    Mirror(S3Location.parse(server.repository(name)), tmp_path / "mirror").sync()
    assert versions_in(tmp_path / "mirror") == [1]
    assert store.publish(exported) == 3
    store.retract(2)
    assert store.incomplete() == []


def test_a_publish_that_fails_half_way_leaves_no_file(
    store: S3Store, server: S3Server, exported: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store._bucket.upload

    def cut_off(path: Path, key: str, digest: object) -> None:
        if key.endswith(MODEL_FILE):
            raise KeyboardInterrupt
        upload(path, key, digest)  # type: ignore[arg-type]

    monkeypatch.setattr(store._bucket, "upload", cut_off)
    with pytest.raises(KeyboardInterrupt):
        store.publish(exported)
    assert server.keys(f"{name}/classifier/1/") == []


def test_a_number_is_never_used_twice(store: S3Store, exported: Path) -> None:
    assert [store.publish(exported) for _ in range(3)] == [1, 2, 3]
    store.retract(3)
    assert store.publish(exported) == 4
    assert store.prune(keep=2) == [1]
    assert store.numbers() == [2, 4]
    with pytest.raises(RepositoryError, match="version 9 of classifier does not exist"):
        store.retract(9)


def test_the_number_of_a_version_that_came_past_publish_is_used_up_too(
    store: S3Store, server: S3Server, exported: Path
) -> None:
    assert store.publish(exported) == 1
    for path in sorted(exported.iterdir(), key=lambda each: each.name == MANIFEST_FILE):
        server.write(f"{store.location.prefix}/2/{path.name}", path.read_bytes())
    assert store.numbers() == [1, 2]
    store.retract(2)
    assert store.publish(exported) == 3


def test_two_publishers_get_two_numbers(server: S3Server, exported: Path, name: str) -> None:
    command = [sys.executable, "-m", "repository", "publish", str(exported), "--to", server.repository(name)]
    publishers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [publisher.wait(timeout=120) for publisher in publishers] == [0] * 3
    assert S3Store(S3Location.parse(server.repository(name)), "classifier").numbers() == [1, 2, 3]


def test_a_rollback_publishes_the_older_content_as_a_new_number(store: S3Store, exported: Path, other: Path) -> None:
    store.publish(exported)
    store.publish(other)
    assert store.rollback() == (1, 3)
    assert store.manifest(3).republished_from == 1
    assert store.manifest(3).files == store.manifest(1).files
    store.verify(3)


def test_a_config_that_somebody_else_changed_meanwhile_is_not_overwritten(store: S3Store) -> None:
    def change(text: str) -> str:
        store.change_config(lambda inner: with_pin(inner, 2))
        return with_pin(text, 1)

    with pytest.raises(NotChangedError, match="somebody else"):
        store.change_config(change)
    assert parse_config(store.config()).pinned == 2


def test_the_command_line_works_on_a_bucket_and_names_no_secret(
    server: S3Server, exported: Path, other: Path, name: str
) -> None:
    place = ["--repository", server.repository(name)]
    said = "".join(
        manage(*arguments)
        for arguments in (
            ["publish", str(exported), "--to", server.repository(name)],
            ["publish", str(other), *place],
            ["rollback", *place],
            ["pin", "1", *place],
            ["list", *place],
            ["unpin", *place],
            ["verify", *place],
            ["retract", "3", *place],
            ["prune", "--keep", "2", *place],
        )
    )
    for line in ("Published version 1", "content of version 1", "1 pinned", "version 3: good", "Deleted version 3"):
        assert line in said
    assert SECRET not in said


def test_mistakes_are_one_line_without_a_secret(server: S3Server, exported: Path) -> None:
    nowhere = f"s3://127.0.0.1:{server.port}/nowhere/x"
    assert "there is no such bucket" in manage("list", "--repository", nowhere, status=2)
    keyed = f"s3://key:{SECRET}@bucket/x"
    said = manage("publish", str(exported), "--to", keyed, status=2)
    assert "credentials do not belong in the address" in said
    assert SECRET not in said
    without = dict.fromkeys(CREDENTIALS, "") | {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    with environment(without):
        assert "no credentials" in manage("list", "--repository", f"{server.address}/x", status=2)


def manage(*arguments: str, status: int = 0) -> str:
    """What `python -m repository` writes to the screen."""
    command = [sys.executable, "-m", "repository", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"})
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    assert "Traceback" not in said
    if status:
        assert len(said.strip().splitlines()) == 1, said
    return said
