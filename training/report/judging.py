"""What can be said of a model by its answers alone, whoever trained it; needs no PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.inference import scores as scores_of
from repository.manifest import ProblemType
from training.data.examples import Example, Target
from training.data.load import SplitName, TrainingData
from training.figures.calibration import calibration
from training.figures.nearest import Likeness
from training.figures.scores import answers_of
from training.report.calibrated import calibrated_facts
from training.report.compared import compared_with_served
from training.report.contents import SPLITS, figures
from training.report.mistakes import worst_mistakes

Logits = npt.NDArray[np.float32]

# Of a chart, which more dots would only make darker.
_POINTS = 500


def data_facts(data: TrainingData) -> dict[str, Any]:
    """Return what was trained and tested on."""
    return {
        "file": data.name,
        "columns": data.columns.as_json(),
        "unit": data.columns.unit,
        "sha256": data.sha256,
        "split_kind": data.split_kind,
        "splits": data.counts(),
        "skipped_rows": data.skipped,
        "feedback_rows": data.feedback,
        "look_alike_classes": data.look_alikes,
        "copies": {"groups": sum(map(len, data.copies)), "sets": data.copies},
    }


def judge(
    data: TrainingData,
    logits: dict[SplitName, Logits],
    likeness: Likeness,
    seed: int,
    labels: Sequence[str] | None = None,
    served: str | None = None,
) -> dict[str, Any]:
    """Return what can be said of a model by its answers alone, whoever trained it.

    Args:
        data: read and split.
        logits: of `validation` and `test`, `[texts, labels]`; numbers are in their own unit.
        likeness: of the test texts to the training texts.
        seed: of the draws.
        labels: in the order of the logits; None: the data's.
        served: the version to compare with, see `training.report.served.served_version`.

    Returns:
        `validation` and `test` (`training.report.contents.figures`, of test the `calibration` and what is `calibrated`
        (`training.report.calibrated`), or the `points` of a regression), `mistakes`, which holds texts, and `served`.
    """
    labels = data.labels if labels is None else labels
    found: dict[str, Any] = {}
    for split in (split for split in SPLITS if data.splits[split]):
        examples = data.splits[split]
        answers = answers_of(logits[split], labels, data.task)
        found[split] = figures_of_split(examples, answers, labels, data.task)
    test, test_scores = data.splits["test"], scores_of(logits["test"], data.task)
    truth, groups = [example.target for example in test], [example.group for example in test]
    found["test"]["calibration"] = calibration(truth, test_scores, labels, groups, data.task, seed)
    found["test"]["calibrated"] = calibrated_facts(data, logits, labels)
    if data.task is ProblemType.REGRESSION:
        found["test"]["points"] = [[truth[place], answers[place]] for place in _some(len(test), seed)]
    trained = data.splits["train"]
    found["mistakes"] = worst_mistakes(test, answers, test_scores, labels, data.task, trained, likeness)
    found["served"] = compared_with_served(test, answers, data.task, served, seed)
    return found


def figures_of_split(
    examples: Sequence[Example], answers: Sequence[Target], labels: Sequence[str], task: ProblemType
) -> dict[str, Any]:
    """Return the figures of a split, with their intervals over its groups."""
    truth = [example.target for example in examples]
    languages, groups = [example.language for example in examples], [example.group for example in examples]
    return figures(truth, answers, labels, languages, task, groups)


def _some(count: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).permutation(count)[:_POINTS].tolist())
