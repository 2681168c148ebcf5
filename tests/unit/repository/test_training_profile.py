"""A profile is read as it was written; one of another form is passed over, and labels past the bound share a name."""

from pathlib import Path

import pytest

from repository.manifest import ProblemType, RepositoryError
from repository.training_profile import (
    MOST_LABELS,
    NO_LABEL,
    OTHER_LABEL,
    PROFILE_FILE,
    TrainingProfile,
    best_label,
    binned,
    named_labels,
)

PROFILE = TrainingProfile(
    texts=10,
    texts_origin="train split of data.csv",
    answers=4,
    answers_origin="test split of data.csv",
    labels={"a": 3, "b": 1},
    score_edges=[0.5],
    scores=[1, 3],
    length_edges=[4, 8],
    lengths=[5, 5, 0],
    scripts={"Latin": 10},
    with_unknown=0,
    unknown_token_share=0.0,
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    PROFILE.write(tmp_path)
    assert TrainingProfile.read(tmp_path) == PROFILE


def test_one_of_another_form_is_no_reason_to_refuse_a_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / PROFILE_FILE).write_text('{"schema_version": 2}')
    assert TrainingProfile.read(tmp_path) is None
    assert "is not used, drift is not told" in caplog.text
    (tmp_path / PROFILE_FILE).unlink()
    with pytest.raises(RepositoryError, match="cannot be read"):
        TrainingProfile.read(tmp_path)


@pytest.mark.parametrize("change", [{"scores": [1]}, {"length_edges": [8, 4]}])
def test_bins_and_edges_fit(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="bins be one more"):
        TrainingProfile.model_validate(PROFILE.model_dump() | change)


def test_a_value_on_an_edge_is_in_the_bin_below() -> None:
    assert binned([4, 8], [1, 4, 5, 8, 9, 9]) == [2, 2, 2]


def test_past_the_bound_the_rarest_labels_share_a_name() -> None:
    labels = [f"label {number}" for number in range(MOST_LABELS + 50)]
    counts = {label: number for number, label in enumerate(labels)}
    named = named_labels(labels, counts)
    assert named[:50] == [OTHER_LABEL] * 50
    assert named[50:] == labels[50:]
    assert named_labels(labels)[:MOST_LABELS] == labels[:MOST_LABELS]


def test_several_labels_may_be_none_and_a_number_is_none() -> None:
    several, number = ProblemType.MULTI_LABEL, ProblemType.REGRESSION
    assert best_label(["a", "b"], several, 1, 0.4) == NO_LABEL
    assert best_label(["a", "b"], several, 1, 0.5) == "b"
    assert best_label(["a", "b"], ProblemType.SINGLE_LABEL, 1, 0.4) == "b"
    assert best_label(["a"], number, 0, 7.0) is None
