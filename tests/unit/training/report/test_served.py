"""What is served can be asked: the newest readable version or the pinned one, by its own tokenizer, labels by name."""

from pathlib import Path

import numpy as np
import pytest

from repository.candidates.trial import Plan
from repository.config import ModelConfig, with_pin
from repository.manifest import MANIFEST_FILE, ProblemType
from repository.store import ModelStore
from tests.version_folders import write_version
from training.report.served import ServedError, newest_number, served_version

WORDS = {"cat": "Animal", "oak": "Plant"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "models"))
    return ModelStore(tmp_path / "models", "classifier")


def publish(store: ModelStore, folder: Path, words: dict[str, str]) -> int:
    store.ensure_config(ModelConfig(name="classifier").to_pbtxt())
    return store.publish(write_version(folder, words))


def test_the_newest_version_that_can_be_read_is_asked(store: ModelStore, tmp_path: Path) -> None:
    publish(store, tmp_path / "a", WORDS)
    publish(store, tmp_path / "b", {**WORDS, "tin": "Metal"})
    damaged = publish(store, tmp_path / "c", WORDS)
    (store.folder / str(damaged) / MANIFEST_FILE).write_text("{}")
    with served_version() as version:
        assert (version.name, version.number, version.split) == ("version 2 of classifier", 2, None)
        asked = version.ask(["oak oak", "tin", "cat cat cat oak", "   "])
    assert asked.answers[:3] == ["Plant", "Metal", "Animal"]
    assert asked.scores.sum(axis=1) == pytest.approx(1)
    by_name = asked.scores_by(["Plant", "Stone", "Animal"])
    assert np.array_equal(by_name[:, [0, 2]], asked.scores[:, [2, 0]])
    assert not by_name[:, 1].any()


def test_the_pinned_version_is_the_one_that_is_served(store: ModelStore, tmp_path: Path) -> None:
    for name in "ab":
        publish(store, tmp_path / name, WORDS)
    store.change_config(lambda text: with_pin(text, 1))
    with served_version() as version:
        assert version.number == 1
    with served_version("2") as version:
        assert version.number == 2


def test_a_candidate_is_not_what_is_served(store: ModelStore, tmp_path: Path) -> None:
    publish(store, tmp_path / "a", WORDS)
    store.publish(write_version(tmp_path / "b", WORDS), plan=Plan())
    with served_version() as version:
        assert version.number == 1
    assert newest_number(store) == 2


def test_a_folder_is_asked_without_a_repository(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "version", WORDS, problem_type=ProblemType.MULTI_LABEL, weight=1)
    with served_version(str(folder)) as version:
        assert version.number is None
        assert version.ask(["cat oak", "a"]).answers == [("Animal", "Plant"), ("Animal", "Plant")]  # no vote is 0.5


@pytest.mark.usefixtures("store")
def test_what_cannot_be_asked_is_one_sentence(tmp_path: Path) -> None:
    reasons = {None: "holds no version that can be read", "4": "is missing", str(tmp_path): "is no exported version"}
    for given, reason in reasons.items():
        with pytest.raises(ServedError, match=reason) as caught, served_version(given):
            pass
        assert "\n" not in str(caught.value)


def test_it_says_so_where_onnx_runtime_is_not_installed(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, tmp_path / "a", WORDS)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with served_version() as version, pytest.raises(ServedError, match="ONNX Runtime is not installed"):
        version.ask(["cat"])
