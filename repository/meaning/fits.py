"""Does what a manifest says of its scores fit the kind of its model, its labels and its files?"""

from collections.abc import Collection, Sequence

from repository.meaning.calibration import Calibration
from repository.meaning.coverage import HELD_OUT_FILE, Coverage
from repository.meaning.thresholds import Thresholds

SINGLE, SEVERAL = "single_label_classification", "multi_label_classification"


def check_meaning(
    problem_type: str,
    labels: Sequence[str],
    files: Collection[str],
    calibration: Calibration | None,
    thresholds: Thresholds | None,
    coverage: Coverage | None,
) -> None:
    """Raise ValueError where it is of another kind of model, or of another number of labels."""
    if calibration is not None:
        if problem_type != (SINGLE if calibration.slopes is None else SEVERAL):
            raise ValueError("the calibration is of another kind of model")
        if calibration.slopes is not None and len(calibration.slopes) != len(labels):
            raise ValueError("the calibration is of another number of labels")
    if thresholds is not None and (problem_type != SEVERAL or len(thresholds.labels) != len(labels)):
        raise ValueError("thresholds are for models that answer several labels, one for each")
    if coverage is not None and problem_type != SINGLE:
        raise ValueError("coverage is of models that answer one label")
    if coverage is not None and HELD_OUT_FILE not in files:
        raise ValueError(f"files must list {HELD_OUT_FILE}, since there is coverage")
