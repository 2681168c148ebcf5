"""A version tells what the texts it was trained on are like, as its own tokenizer reads them, and what it answers."""

from pathlib import Path

import numpy as np
import pytest

from export.checkpoint.load import load_checkpoint
from export.parity.measure import Reference
from export.texts.sentences import ProfiledTexts
from export.version.profile import profile_of
from repository.inference import load_tokenizer
from repository.manifest import Manifest, ProblemType
from repository.training_profile import PROFILE_FILE, TrainingProfile, binned
from tests.tiny_exports import LABELS, TEXTS, export, write_labelled, write_source
from training import SAMPLE_DATA
from training.data.load import load_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("checkpoint"))


def test_the_profile_is_of_the_given_texts_and_listed_in_the_manifest(folder: Path, tmp_path: Path) -> None:
    manifest = export(folder, tmp_path / "version")
    manifest.verify_files(tmp_path / "version")
    assert PROFILE_FILE in manifest.files
    profile = TrainingProfile.read(tmp_path / "version")
    assert profile is not None
    tokenizer = load_tokenizer(tmp_path / "version", manifest.max_length)
    lengths = [len(tokenizer.encode(text).ids) for text in TEXTS]
    assert profile.lengths == binned(profile.length_edges, lengths)
    assert (profile.texts, profile.scripts) == (len(TEXTS), {"Latin": len(TEXTS)})
    assert sum(profile.labels.values()) == sum(profile.scores) == profile.answers
    assert set(profile.labels) <= set(LABELS)
    assert TEXTS[5] not in (tmp_path / "version" / PROFILE_FILE).read_text(), "it holds counts alone"


def test_lengths_are_of_the_training_split_and_scores_of_the_test_split(folder: Path, tmp_path: Path) -> None:
    data = write_labelled(tmp_path / "maps.csv")
    loaded = load_data(data)
    loaded.record.write(folder / "classifier")
    try:
        export(folder, tmp_path / "version", "--data", str(data))
    finally:
        (folder / "classifier" / "split.json").unlink()
    profile = TrainingProfile.read(tmp_path / "version")
    assert profile is not None
    assert profile.texts == len(loaded.splits["train"])
    assert profile.texts_origin == "train split of maps.csv"
    assert profile.answers == len(loaded.splits["test"])
    assert profile.answers_origin == "test split of maps.csv"


def test_a_checkpoint_for_something_else_has_none_of_the_sample_s_mind_maps(folder: Path, tmp_path: Path) -> None:
    manifest = export(folder, tmp_path / "version", "--data", str(SAMPLE_DATA))
    assert PROFILE_FILE not in manifest.files
    assert Manifest.read(tmp_path / "version") == manifest


@pytest.mark.parametrize("kind", [ProblemType.REGRESSION, ProblemType.MULTI_LABEL])
def test_a_number_has_a_tenth_of_the_answers_in_each_bin(folder: Path, tmp_path: Path, kind: ProblemType) -> None:
    export(folder, tmp_path / "version")
    checkpoint = load_checkpoint(str(folder / "classifier"))
    object.__setattr__(checkpoint, "problem_type", kind)
    logits = np.linspace(-3, 5, 60, dtype=np.float32)[:, None]
    logits = logits if kind is ProblemType.REGRESSION else np.repeat(logits, 3, axis=1)
    found = profile_of(checkpoint, tmp_path / "version", ProfiledTexts(TEXTS, "a test"), Reference(TEXTS, logits, None))
    if kind is ProblemType.REGRESSION:
        assert found.labels == {}
        assert found.scores == [6] * 10
    else:
        assert found.labels["(none)"] == sum(logits[:, 0] < 0)
