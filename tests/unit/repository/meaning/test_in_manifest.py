"""What a manifest says of scores: nothing where there is nothing, and only what fits the model."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from repository.manifest import Manifest, ProblemType
from repository.meaning.calibration import Calibration
from repository.meaning.coverage import HELD_OUT_FILE, Coverage
from repository.meaning.thresholds import LabelThreshold, Thresholds
from repository.store import ModelStore
from tests.meaning_versions import FITTED_ON, write_calibrated, write_with_thresholds
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant"}
NAMES = ("calibration", "thresholds", "coverage")
TEMPERATURE = Calibration(temperature=2.0, **FITTED_ON)
SIGMOIDS = Calibration(slopes=[1.0, 2.0], offsets=[0.0, 0.0], **FITTED_ON)
OWN = LabelThreshold(threshold=0.5, positives=3, tuned=False)
THRESHOLDS = Thresholds(labels=[OWN, OWN], chosen_by="f1", origin="")
COVERAGE = Coverage(**FITTED_ON, most=0.9)
SINGLE, MULTI, NUMBER = ProblemType.SINGLE_LABEL, ProblemType.MULTI_LABEL, ProblemType.REGRESSION


def test_what_is_not_there_is_not_written_for_older_gateways_would_refuse_it(tmp_path: Path) -> None:
    manifest = Manifest.read(write_version(tmp_path / "plain", WORDS))
    assert not [name for name in NAMES if f'"{name}"' in manifest.text()]
    assert (manifest.calibration, manifest.thresholds, manifest.coverage) == (None, None, None)


def test_what_is_there_is_read_as_it_was_written(tmp_path: Path) -> None:
    single = Manifest.read(write_calibrated(tmp_path / "single", WORDS, 2.0, [1.0, 2.0]))
    several = Manifest.read(write_with_thresholds(tmp_path / "several", WORDS, [0.4, 0.6], slope=2.0))
    for manifest in (single, several):
        assert Manifest.parse(manifest.text().encode(), "") == manifest
    assert single.coverage is not None
    assert HELD_OUT_FILE in single.files
    assert several.thresholds is not None
    assert several.thresholds.values == [0.4, 0.6]
    assert several.calibration is not None


@pytest.mark.parametrize(
    ("problem_type", "said", "reason"),
    [
        (SINGLE, {"calibration": SIGMOIDS}, "another kind of model"),
        (MULTI, {"calibration": TEMPERATURE}, "another kind of model"),
        (NUMBER, {"calibration": TEMPERATURE}, "another kind of model"),
        (NUMBER, {"calibration": SIGMOIDS}, "another kind of model"),
        (MULTI, {"calibration": Calibration(slopes=[1.0], offsets=[0.0], **FITTED_ON)}, "another number of labels"),
        (SINGLE, {"thresholds": THRESHOLDS}, "thresholds are for models that answer several labels"),
        (MULTI, {"thresholds": THRESHOLDS.model_copy(update={"labels": [OWN]})}, "one for each"),
        (MULTI, {"coverage": COVERAGE}, "coverage is of models that answer one label"),
        (SINGLE, {"coverage": COVERAGE}, f"files must list {HELD_OUT_FILE}"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    tmp_path: Path, problem_type: ProblemType, said: dict[str, object], reason: str
) -> None:
    manifest = Manifest.read(write_version(tmp_path / "version", WORDS, problem_type=problem_type))
    with pytest.raises(ValidationError, match=reason):
        Manifest.model_validate({**manifest.model_dump(), **said})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"temperature": 0.0},
        {"temperature": 1.0, "slopes": [1.0], "offsets": [0.0]},
        {"slopes": [1.0]},
        {"slopes": [1.0], "offsets": [0.0, 1.0]},
        {"slopes": [-1.0], "offsets": [0.0]},
    ],
)
def test_a_calibration_is_a_temperature_or_rising_sigmoids(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate({**given, **FITTED_ON})


def test_a_roll_back_goes_to_before_a_calibration_although_every_file_is_the_same(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "repository", "classifier")
    store.publish(write_version(tmp_path / "plain", WORDS, weight=1.0, problem_type=MULTI))
    store.publish(write_with_thresholds(tmp_path / "own", WORDS, [0.4, 0.6]))
    first, second = (store.version(number).manifest for number in (1, 2))
    assert first is not None
    assert second is not None
    assert first.files == second.files
    assert store.rollback() == (1, 3)
