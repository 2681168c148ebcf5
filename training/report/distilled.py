"""The report of a student: its own figures, with its teacher's beside them."""

from pathlib import Path
from typing import Any

from repository.manifest import ProblemType
from training.data.load import TrainingData
from training.data.unlabelled import OtherTexts
from training.figures.scores import CHOSEN_BY, scores
from training.fit.distill import Distilled, Teacher
from training.fit.student import share_alike
from training.fit.train import EVALUATED
from training.report.contents import read_report
from training.report.evaluate import training_report

# Of a run of `train`, what has no meaning here.
_NOT_OF_STUDENTS = ("frozen_share", "class_weights", "vocabulary", "label_smoothing", "lora_rank", "few_shot")


def distilled_report(
    data: TrainingData, teacher: Teacher, settings: dict[str, Any], distilled: Distilled, others: OtherTexts
) -> dict[str, Any]:
    """Return what a student's `training_report.json` holds.

    It is what `training.report.evaluate.training_report` gives, and under `teacher` the teacher's name, its number of
    layers, which of them the student began with, how they were chosen, its figures and how far both agree. Baseline and
    learning curve are the teacher's, if it was trained on the same file.
    """
    before = read_report(Path(teacher.base.name)) or {}
    report = training_report(data, teacher.base, settings, distilled.trained, with_baseline=False)
    kept = {name: value for name, value in report["settings"].items() if name not in _NOT_OF_STUDENTS}
    same = before.get("data", {}).get("sha256") == data.sha256
    return {
        **report,
        "base_model": before.get("base_model") or teacher.name,
        "settings": {**kept, "head_rate": 1},
        "best_epoch": _best_epoch(report, data.task),
        "teacher": _of_teacher(data, teacher, distilled, others),
        "learning_curve": before.get("learning_curve") if same else None,
        "baseline": before.get("baseline") if same else None,
    }


def _best_epoch(report: dict[str, Any], task: ProblemType) -> float:
    """As training chose it: of epochs whose figures are the same, the one that agrees more with the teacher."""
    if task is ProblemType.REGRESSION or not report["epochs"]:
        return float(report["best_epoch"])
    name = CHOSEN_BY[task][0]
    return float(max(report["epochs"], key=lambda epoch: (epoch.get(name, 0.0), epoch.get("agreement", 0.0)))["epoch"])


def _of_teacher(data: TrainingData, teacher: Teacher, distilled: Distilled, others: OtherTexts) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": teacher.name,
        "layers": distilled.layers,
        "kept": list(distilled.choice.kept),
        "chosen": distilled.choice.name,
        "tried": distilled.choice.tried,
        "texts": {name: getattr(others, name) for name in ("unlabelled", "recombined", "pieces", "held_out")},
        "agreement": {},
    }
    for name in EVALUATED:
        truth = [example.target for example in data.splits[name]]
        figures = scores(truth, distilled.answers[name], data.task)
        found[name] = {figure: round(value, 4) for figure, value in figures.items()}
        if data.task is not ProblemType.REGRESSION:
            alike = share_alike(distilled.answers[name], distilled.trained.predictions[name])
            found["agreement"][name] = round(alike, 4)
    return found
