"""Triton finds the student of a version where, and only where, that version is."""

from pathlib import Path

import pytest

from repository.cascade import STUDENT_FILE
from repository.config import ModelConfig, parse_config, with_changes, with_pin
from repository.manifest import CONFIG_FILE, Manifest, RepositoryError
from repository.store import ModelStore
from tests.student_versions import write_with_student
from tests.version_folders import write_version

WORDS = {"cow": "animal", "oak": "plant"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Version 1 has no student, version 2 has one, version 3 has none."""
    store = ModelStore(tmp_path / "models", "classifier")
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    plain = write_version(tmp_path / "plain", WORDS)
    for folder in (plain, write_with_student(tmp_path / "cascade", WORDS, {"cow": 9.0}), plain):
        store.publish(folder)
    return store


def view(store: ModelStore) -> Path:
    return store.folder.with_name("classifier.student")


def students(store: ModelStore) -> list[str]:
    """Names of the versions that Triton would find, each checked to be the model's own."""
    if not view(store).exists():
        return []
    found = sorted(entry.name for entry in view(store).iterdir() if entry.name != CONFIG_FILE)
    for name in found:
        assert (view(store) / name).resolve() == store.folder / name
        assert (view(store) / name / STUDENT_FILE).is_file()
    return found


def test_a_version_without_a_student_has_none(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    store.publish(write_version(tmp_path / "plain", WORDS))
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["classifier"]


def test_each_student_has_the_number_of_its_version(store: ModelStore, tmp_path: Path) -> None:
    assert students(store) == ["2"]
    store.publish(write_with_student(tmp_path / "another", WORDS, {"oak": 9.0}))
    assert students(store) == ["2", "4"]


def test_a_rollback_brings_the_student_along(store: ModelStore) -> None:
    assert store.rollback() == (2, 4)
    assert students(store) == ["2", "4"]
    assert Manifest.read(store.folder / "4").cascade == Manifest.read(store.folder / "2").cascade


def test_a_student_goes_with_its_version(store: ModelStore, tmp_path: Path) -> None:
    store.publish(write_with_student(tmp_path / "another", WORDS, {"oak": 9.0}))
    store.prune(2)
    assert students(store) == ["4"]
    store.retract(4)
    assert not view(store).exists()
    assert store.numbers() == [3]


def test_the_config_is_the_models_but_for_name_and_graph(store: ModelStore) -> None:
    def config() -> ModelConfig:
        text = (view(store) / CONFIG_FILE).read_text()
        assert f'default_model_filename: "{STUDENT_FILE}"' in text
        return parse_config(text)

    assert config() == ModelConfig("classifier.student")
    store.change_config(lambda text: with_changes(text, {"max_batch_size": 8}))
    assert config() == ModelConfig("classifier.student", max_batch_size=8)


def test_a_pinned_version_without_a_student_leaves_triton_none_to_load(store: ModelStore) -> None:
    store.change_config(lambda text: with_pin(text, 1))
    assert not view(store).exists()
    store.change_config(lambda text: with_pin(text, 2))
    assert students(store) == ["2"]
    store.change_config(lambda text: with_pin(text, None))
    assert students(store) == ["2"]


def test_a_first_version_has_its_student_once_there_is_a_config(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", "classifier")
    store.publish(write_with_student(tmp_path / "cascade", WORDS, {"cow": 9.0}))
    assert not view(store).exists()
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    assert students(store) == ["1"]


def test_a_model_of_that_name_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = ModelStore(tmp_path / "models", "classifier.student")
    other.ensure_config(ModelConfig("classifier.student").to_pbtxt())
    other.publish(write_version(tmp_path / "plain", WORDS))
    store = ModelStore(tmp_path / "models", "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    assert store.publish(write_with_student(tmp_path / "cascade", WORDS, {"cow": 9.0})) == 1
    assert "holds versions of its own" in caplog.text
    other.verify(1)
    assert parse_config(other.config()).name == "classifier.student"


def test_a_student_that_does_not_run_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    folder = write_with_student(tmp_path / "broken", WORDS, {"cow": 9.0})
    (folder / STUDENT_FILE).write_bytes(b"no graph")
    with pytest.raises(RepositoryError, match="is not the file that"):
        store.publish(folder)


def test_a_student_whose_golden_sentences_are_off_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    good = write_with_student(tmp_path / "good", WORDS, {"cow": 9.0}, golden=["cow", "oak oak"])
    off = write_with_student(tmp_path / "off", WORDS, {"cow": 1.0}, golden=["cow", "oak oak"])
    manifest = Manifest.read(good)
    graph = (off / STUDENT_FILE).read_bytes()
    (good / STUDENT_FILE).write_bytes(graph)
    files = {**manifest.files, STUDENT_FILE: Manifest.read(off).files[STUDENT_FILE]}
    manifest.model_copy(update={"files": files}).write(good)
    with pytest.raises(RepositoryError, match=r"the student: .* golden sentences are answered otherwise"):
        store.publish(good)
    assert store.numbers() == [1, 2, 3]
