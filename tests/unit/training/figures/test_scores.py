"""Macro-F1 is a mean over the classes of the truth, in training and export alike, whatever else a model answers."""

from pathlib import Path

import numpy as np
import pytest

from export.checkpoint.load import Checkpoint, load_checkpoint
from export.commands.comparison import compare
from export.parity.answers import Answers
from export.parity.measure import Reference, _evaluate, violations
from repository.manifest import Manifest, Parity, Precision, ProblemType
from repository.tolerances import TOLERANCES, Provider
from tests.tiny_models import write_classifier
from tests.version_folders import write_version
from training import SAMPLE_DATA
from training.data.load import load_split
from training.figures.scores import macro_f1
from training.report.contents import figures

LABELS = [f"class {index}" for index in range(7)]
PRESENT = LABELS[:6]
TRUTH = [label for label in PRESENT for _ in range(30)]
# One answer in 180 is a class that no sentence is of.
STRAY = [LABELS[6], *TRUTH[1:]]
WRONG = [LABELS[1], *TRUTH[1:]]


def logits_of(answers: list[str]) -> np.ndarray:
    return np.array([[4.0 * (label == answer) for label in LABELS] for answer in answers], dtype=np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(str(write_classifier(tmp_path_factory.mktemp("labels") / "checkpoint", LABELS)))


def test_a_class_that_is_never_answered_counts_as_zero() -> None:
    assert macro_f1(["a", "a", "b", "b"], ["a", "a", "a", "a"]) == pytest.approx((2 / 3 + 0) / 2)


def test_a_stray_answer_costs_what_any_other_mistake_costs() -> None:
    right = macro_f1(TRUTH, TRUTH)
    assert right == 1.0
    assert 0 < right - macro_f1(TRUTH, STRAY) <= right - macro_f1(TRUTH, WRONG) < 0.006


def test_graph_and_pytorch_are_measured_over_the_same_classes(checkpoint: Checkpoint) -> None:
    reference = Reference(TRUTH, logits_of(TRUTH), TRUTH)
    evaluation = _evaluate(logits_of(STRAY), reference, checkpoint)
    assert evaluation is not None
    assert evaluation.checkpoint_macro_f1 == 1.0
    assert evaluation.macro_f1 == macro_f1(TRUTH, STRAY)
    # One answer in 180: not a seventh of the figure, which any precision would be refused for.
    exact = Parity.model_construct(
        max_logit_difference=0.0,
        label_agreement=1.0,
        decided_label_agreement=1.0,
        padded_label_flips=0,
        max_padded_probability_difference=0.0,
    )
    assert violations(exact, evaluation, TOLERANCES[Provider.CPU, Precision.FP16]) == []


def test_training_export_and_diff_give_one_figure_for_the_same_answers(checkpoint: Checkpoint, tmp_path: Path) -> None:
    version = write_version(tmp_path / "version", {f"word{index}": label for index, label in enumerate(LABELS)})
    manifest = Manifest.read(version)
    assert manifest.problem_type is ProblemType.SINGLE_LABEL
    a, b = (Answers(version, manifest, logits_of(answers)) for answers in (TRUTH, STRAY))
    found = compare(a, b, TRUTH, TRUTH, 0)
    evaluation = _evaluate(logits_of(STRAY), Reference(TRUTH, logits_of(TRUTH), TRUTH), checkpoint)
    report = figures(TRUTH, STRAY, LABELS, [None] * len(TRUTH))
    assert evaluation is not None
    assert found.quality_b is not None
    assert found.quality_b["macro_f1"] == evaluation.macro_f1 == macro_f1(TRUTH, STRAY)
    assert report["macro_f1"] == pytest.approx(evaluation.macro_f1, abs=1e-4)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_class_of_the_sample_occurs_in_the_split_that_is_published(split: str) -> None:
    every = set(load_split(SAMPLE_DATA, "train")[1])
    assert len(every) == 7
    assert set(load_split(SAMPLE_DATA, split)[1]) == every
