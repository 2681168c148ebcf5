"""Copies of versions in S3, for Triton and for the gateway: checked, mended, and never of a version that is damaged."""

from pathlib import Path

import pytest

from gateway.files import S3Files
from repository.bucket import AwayError
from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE
from repository.config import parse_config, with_pin
from repository.location import S3Location
from repository.manifest import CONFIG_FILE, MANIFEST_FILE, MODEL_FILE, REPORT_PAGE, TOKENIZER_FILE, RepositoryError
from repository.meaning.coverage import HELD_OUT_FILE
from repository.mirror import Mirror
from repository.s3_store import S3Store
from tests.meaning_versions import write_calibrated
from tests.s3_server import S3Server
from tests.student_versions import write_with_student
from tests.version_folders import versions_in, write_version


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


def test_a_copy_serves_the_students_of_its_versions(store: S3Store, location: S3Location, tmp_path: Path) -> None:
    words = {"cat": "Animal", "oak": "Plant"}
    plain = write_version(tmp_path / "plain", words)
    with_student = write_with_student(tmp_path / "cascade", words, {"cat": 9.0}, golden=["cat", "oak"])
    mirror, view = Mirror(location, tmp_path / "mirror"), tmp_path / "mirror" / "classifier.student"
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    for number, folder in enumerate((plain, with_student), 1):
        assert store.publish(folder) == number
        mirror.sync()
    assert sorted(path.name for path in view.iterdir()) == ["2", CONFIG_FILE]
    assert (view / "2" / STUDENT_FILE).read_bytes() == (with_student / STUDENT_FILE).read_bytes()
    files.look({1})
    assert (files.model_folder / "2" / STUDENT_GOLDEN_FILE).is_file()
    assert not (files.model_folder / "2" / STUDENT_FILE).exists()  # Triton's business
    store.retract(2)
    mirror.sync()
    assert not view.exists()
    assert versions_in(tmp_path / "mirror") == [1]


def test_held_out_scores_are_there_before_they_are_asked_for(store: S3Store, tmp_path: Path) -> None:
    store.publish(write_calibrated(tmp_path / "calibrated", {"cat": "Animal", "oak": "Plant"}, 2.0, [1.0, 2.0]))
    files = S3Files(store, tmp_path / "cache" / "classifier", 5)
    files.prepare(1)
    assert (tmp_path / "cache" / "classifier" / "1" / HELD_OUT_FILE).is_file()
    assert files.read(1, HELD_OUT_FILE) == (tmp_path / "calibrated" / HELD_OUT_FILE).read_bytes()
    # A gateway from before has a copy without it.
    (tmp_path / "cache" / "classifier" / "1" / HELD_OUT_FILE).unlink()
    files.prepare(1)
    assert (tmp_path / "cache" / "classifier" / "1" / HELD_OUT_FILE).is_file()
