"""When a candidate's answer is the current version's, and when a change is one that the current version was sure of."""

from pathlib import Path

import numpy as np
import pytest

from export.parity import agreement
from gateway.candidates import comparison
from gateway.candidates.comparison import NO_LABEL, compare
from repository.inference import Float32Array
from repository.manifest import Manifest, ProblemType
from tests.version_folders import write_version


def manifest(folder: Path, *labels: str, problem_type: ProblemType = ProblemType.SINGLE_LABEL) -> Manifest:
    """Labels are in the order of the alphabet."""
    return Manifest.read(write_version(folder, {label.lower(): label for label in labels}, problem_type=problem_type))


def row(*scores: float) -> Float32Array:
    return np.array(scores, dtype=np.float32)


@pytest.mark.parametrize(
    ("scores", "found", "agrees", "is_confident"),
    [
        (row(0.9, 0.1), row(0.6, 0.4), True, False),
        (row(0.9, 0.1), row(0.4, 0.6), False, True),
        (row(0.54, 0.46), row(0.4, 0.6), False, False),
        (row(0.56, 0.44), row(0.4, 0.6), False, True),
    ],
)
def test_one_label_changes_confidently_where_the_first_two_are_apart(
    tmp_path: Path, scores: Float32Array, found: Float32Array, agrees: bool, is_confident: bool
) -> None:
    one = manifest(tmp_path / "one", "A", "B")
    result = compare(scores, one, found, one, 0.5)
    assert (result.agrees, result.is_confident_change) == (agrees, is_confident)
    assert result.label == "A"
    assert result.shift == pytest.approx(float(found[0] - scores[0]))


def test_labels_are_compared_by_name_in_whatever_order_and_number(tmp_path: Path) -> None:
    one, other = manifest(tmp_path / "one", "B", "C"), manifest(tmp_path / "other", "A", "B", "C")
    same = compare(row(0.8, 0.2), one, row(0.1, 0.7, 0.2), other, 0.5)
    assert same.agrees
    assert same.shift == pytest.approx(-0.1)
    new_label = compare(row(0.8, 0.2), one, row(0.7, 0.2, 0.1), other, 0.5)
    assert (new_label.agrees, new_label.other_label) == (False, "A")
    lost = compare(row(0.7, 0.2, 0.1), other, row(0.5, 0.5), one, 0.5)
    assert lost.shift == pytest.approx(-0.7)


def test_several_labels_agree_where_the_same_ones_reach_the_threshold(tmp_path: Path) -> None:
    tags = manifest(tmp_path / "tags", "A", "B", problem_type=ProblemType.MULTI_LABEL)
    assert compare(row(0.9, 0.2), tags, row(0.6, 0.4), tags, 0.5).agrees
    near = compare(row(0.9, 0.52), tags, row(0.9, 0.48), tags, 0.5)
    assert (near.agrees, near.is_confident_change) == (False, False)
    far = compare(row(0.9, 0.6), tags, row(0.9, 0.48), tags, 0.5)
    assert (far.agrees, far.is_confident_change) == (False, True)
    assert compare(row(0.3, 0.2), tags, row(0.1, 0.2), tags, 0.5).label == NO_LABEL


def test_values_agree_within_a_margin_and_a_number_is_never_a_label(tmp_path: Path) -> None:
    stars = manifest(tmp_path / "stars", "stars", problem_type=ProblemType.REGRESSION)
    assert compare(row(4.0), stars, row(4.2), stars, 0.5).agrees
    assert not compare(row(4.0), stars, row(4.3), stars, 0.5).agrees
    label = manifest(tmp_path / "label", "stars")
    assert not compare(row(4.0), stars, row(1.0), label, 0.5).agrees


def test_the_limits_are_those_of_the_parity_check() -> None:
    assert comparison.NEAR_TIE == agreement.NEAR_TIE
    assert (comparison.VALUE_MARGIN, comparison.RANGE_SHARE) == (agreement.VALUE_MARGIN, agreement.RANGE_SHARE)
