"""What would calibration, thresholds and label sets bring? Fitted on the validation split, reported on the test split.

An export fits them anew on what its graph answers, and puts them into the version; int8 answers are not quite these.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.inference import Float32Array
from repository.manifest import ProblemType
from training.data.load import SplitName, TrainingData
from training.figures.calibration import calibration
from training.figures.meaning import Labelled, TooFewError, fit_meaning


def calibrated_facts(
    data: TrainingData, logits: Mapping[SplitName, npt.NDArray[np.float32]], labels: Sequence[str]
) -> dict[str, Any] | None:
    """Return what a report says of it.

    Returns:
        `fit` (`repository.meaning.calibration.Calibration`), `reliability` (`training.figures.calibration.calibration`
        of the calibrated scores), `thresholds` and `coverage` (as a manifest has them); None of a regression, of fewer
        than some tens of validation texts, and where a text's label is none of the model's.
    """
    if data.task is ProblemType.REGRESSION:
        return None
    held_out, test = _labelled(data, "validation", logits), _labelled(data, "test", logits)
    known = set(labels)
    if any(
        set(example.labels) - known for part in (data.splits["validation"], data.splits["test"]) for example in part
    ):
        return None
    try:
        found = fit_meaning(held_out, test, labels, data.task)
    except TooFewError:
        return None
    fit = found.calibration
    scores = fit.scores(test.logits)
    return {
        "fit": fit.model_dump(mode="json"),
        "reliability": calibration(test.truth, scores, labels, test.groups, data.task),
        "thresholds": found.thresholds and found.thresholds.model_dump(mode="json"),
        "coverage": found.coverage and found.coverage.model_dump(mode="json"),
    }


def _labelled(data: TrainingData, name: SplitName, logits: Mapping[SplitName, Float32Array]) -> Labelled:
    examples = data.splits[name]
    truth, groups = [example.target for example in examples], [example.group for example in examples]
    found = logits.get(name) if examples else None
    empty = np.empty((0, 1), dtype=np.float32)
    return Labelled(empty if found is None else found, truth, groups, f"{name} split of {data.name}")
