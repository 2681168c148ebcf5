"""What is counted of each sentence, in the bins that the profile has."""

from pathlib import Path

import numpy as np
import pytest

from gateway.watching.tally import Tally
from repository.manifest import Manifest, ProblemType
from tests.unit.repository.test_training_profile import PROFILE
from tests.version_folders import write_version

UNKNOWN = 1


def manifest(folder: Path, kind: ProblemType = ProblemType.SINGLE_LABEL) -> Manifest:
    return Manifest.read(write_version(folder / "version", {"x": "a", "y": "b"}, problem_type=kind))


def scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_each_sentence_is_counted_once_in_each_aspect(tmp_path: Path) -> None:
    tally = Tally(manifest(tmp_path), PROFILE, UNKNOWN)
    tally.add("x y", [2, 5, 6, 3], scores(0.9, 0.1))
    tally.add("кот", [2, UNKNOWN, UNKNOWN, 5, 3], scores(0.4, 0.3))
    assert tally.taken() == {
        "label": {"a": 2},
        "score": {"0.5": 1, "1": 1},
        "length": {"4": 1, "8": 1},
        "script": {"Latin": 1, "Cyrillic": 1},
        "unknown": {"none": 1, "some": 1},
        "tokens": {"yes": 7, "no": 2},
    }
    assert tally.taken() == {}, "nothing is counted twice"


def test_the_profile_is_in_the_same_bins(tmp_path: Path) -> None:
    assert Tally(manifest(tmp_path), PROFILE, None).expected(PROFILE) == {
        "label": {"a": 3, "b": 1},
        "score": {"0.5": 1, "1": 3},
        "length": {"4": 5, "8": 5, "+Inf": 0},
        "script": {"Latin": 10},
        "unknown": {"none": 10, "some": 0},
    }


def test_of_several_labels_none_may_be_true(tmp_path: Path) -> None:
    tally = Tally(manifest(tmp_path, ProblemType.MULTI_LABEL), PROFILE, None)
    tally.add("x", [2, 3], scores(0.2, 0.4))
    tally.add("x", [2, 3], scores(0.9, 0.95))
    assert tally.taken()["label"] == {"(none)": 1, "b": 1}


def test_a_number_is_counted_by_shares_of_the_profile(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "version", {"x": "n"}, problem_type=ProblemType.REGRESSION)
    profile = PROFILE.model_copy(update={"labels": {}, "score_edges": [-1.0, 4.0], "scores": [1, 1, 1]})
    tally = Tally(Manifest.read(folder), profile, None)
    tally.add("x", [2, 3], scores(4.5))
    counted = tally.taken()
    assert (counted["label"], counted["score"]) == ({}, {"100%": 1})
    assert list(tally.expected(profile)["score"]) == ["33.3%", "66.7%", "100%"]
    without = Tally(Manifest.read(folder), None, None)
    without.add("x", [2, 3], scores(4.5))
    assert without.taken()["score"] == {}, "without a profile a number has no bins"


@pytest.mark.parametrize("ids", [[2, 3], [2, UNKNOWN, 3]])
def test_a_vocabulary_that_knows_every_byte_has_no_unknown_token(tmp_path: Path, ids: list[int]) -> None:
    tally = Tally(manifest(tmp_path), None, None)
    tally.add("x", ids, scores(0.9, 0.1))
    assert tally.taken()["unknown"] == {"none": 1}
