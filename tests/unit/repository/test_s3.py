"""Versions in S3: there whole or not at all, under numbers that are never used twice, and checked wherever they go."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.files import S3Files
from repository.bucket import AwayError, NotChangedError
from repository.config import ModelConfig, parse_config, with_pin
from repository.location import S3Location
from repository.manifest import MANIFEST_FILE, MODEL_FILE, REPORT_PAGE, TOKENIZER_FILE, Manifest, RepositoryError
from repository.mirror import Mirror
from repository.s3_store import S3Store
from tests.s3_server import CREDENTIALS, SECRET, S3Server, environment, s3_server
from tests.version_folders import write_version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with environment(CREDENTIALS), s3_server(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test."""
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def location(server: S3Server, name: str) -> S3Location:
    return S3Location.parse(server.repository(name))


@pytest.fixture
def store(location: S3Location) -> S3Store:
    store = S3Store(location, "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    return store


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"}, golden=["cat", "oak"])


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


@pytest.mark.parametrize("file", [MODEL_FILE, TOKENIZER_FILE])
def test_a_damaged_version_is_refused_and_the_one_before_stays(
    store: S3Store, server: S3Server, location: S3Location, exported: Path, name: str, file: str, tmp_path: Path
) -> None:
    store.publish(exported)
    store.publish(exported)
    key = f"{name}/classifier/2/{file}"
    content = server.read(key)
    server.write(key, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(RepositoryError, match=f"{file} is not the file"):
        store.verify(2)
    mirror = Mirror(location, tmp_path / "mirror")
    assert mirror.sync() == 1
    assert versions_in(tmp_path / "mirror") == [1]
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    files.look({1})
    files.look({1})  # what nothing says of the graph is found once Triton has not listed it for a while
    assert list(files.problems) == [2]
    assert f"{file} is not the file" in files.problems[2]
    server.write(key, content)
    assert mirror.sync() == 2
    files.look({1})
    assert files.problems == {}


def test_a_version_of_which_a_file_is_gone_is_refused(
    store: S3Store, server: S3Server, location: S3Location, exported: Path, name: str, tmp_path: Path
) -> None:
    store.publish(exported)
    store.publish(exported)
    server.delete(f"{name}/classifier/2/{TOKENIZER_FILE}")
    Mirror(location, tmp_path / "mirror").sync()
    assert versions_in(tmp_path / "mirror") == [1]
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    files.look({1})
    assert "tokenizer.json: is missing" in files.problems[2]


def test_a_report_is_fetched_when_it_is_asked_for_and_again_when_its_copy_is_damaged(
    store: S3Store, tmp_path: Path
) -> None:
    store.publish(write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"}, report="<p>good</p>"))
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    files.look({1})
    page = files.model_folder / "1" / REPORT_PAGE
    assert not page.exists()
    assert files.read(1, REPORT_PAGE) == b"<p>good</p>"
    page.write_bytes(b"<p>evil</p>")
    assert files.read(1, REPORT_PAGE) == page.read_bytes() == b"<p>good</p>"
    assert files.read(1, "none.html") is None
    assert files.read(2, REPORT_PAGE) is None


def test_damage_to_a_local_copy_is_mended(store: S3Store, location: S3Location, exported: Path, tmp_path: Path) -> None:
    store.publish(exported)
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    files.prepare(1)
    mirror = Mirror(location, tmp_path / "mirror")
    mirror.sync()
    places = [files.model_folder / "1" / TOKENIZER_FILE, tmp_path / "mirror" / "classifier" / "1" / MODEL_FILE]
    for path in places:
        content = path.read_bytes()
        path.write_bytes(b"x" + content[1:])
        files.prepare(1)
        mirror.sync()
        assert path.read_bytes() == content
    assert not (files.model_folder / "1" / MODEL_FILE).exists(), "the gateway needs no graph"


def test_a_mirror_holds_what_triton_loads_and_follows_a_pin(
    store: S3Store, location: S3Location, exported: Path, tmp_path: Path
) -> None:
    mirror, folder = Mirror(location, tmp_path / "mirror"), tmp_path / "mirror"
    for _ in range(3):
        store.publish(exported)
    mirror.sync()
    assert versions_in(folder) == [2, 3]
    store.change_config(lambda text: with_pin(text, 1))
    mirror.sync()
    assert versions_in(folder) == [1]
    assert parse_config((folder / "classifier" / "config.pbtxt").read_text()).pinned == 1
    store.change_config(lambda text: with_pin(text, None))
    store.retract(3)
    mirror.sync()
    assert versions_in(folder) == [1, 2]


def test_a_mirror_stays_as_it_is_while_the_bucket_is_empty_or_away(
    store: S3Store, server: S3Server, location: S3Location, exported: Path, name: str, tmp_path: Path
) -> None:
    store.publish(exported)
    mirror = Mirror(location, tmp_path / "mirror")
    mirror.sync()
    server.delete(f"{name}/classifier/1/{MANIFEST_FILE}")
    assert mirror.sync() == 1
    for key in server.keys(f"{name}/"):
        server.delete(key)
    assert mirror.sync() == 1
    nowhere = S3Location("models", name, "http://127.0.0.1:1")
    with pytest.raises(AwayError, match="cannot be reached"):
        Mirror(nowhere, tmp_path / "mirror").sync()
    assert versions_in(tmp_path / "mirror") == [1]


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


def versions_in(folder: Path) -> list[int]:
    found = sorted(int(entry.name) for entry in (folder / "classifier").iterdir() if entry.name.isdecimal())
    for number in found:
        version = folder / "classifier" / str(number)
        Manifest.read(version).verify_files(version)
        assert json.loads((version / MANIFEST_FILE).read_text())["schema_version"] == 1
    return found
