"""The report of a run is put together here: data, settings, the model's figures and the baseline's beside them."""

from collections.abc import Sequence
from typing import Any

from repository.manifest import ProblemType
from training.base_model import BaseModel
from training.baseline import fit_baseline
from training.data import SplitName, TrainingData
from training.examples import Target
from training.optimizer import HEAD_RATE, WEIGHT_DECAY
from training.report import SCHEMA_VERSION, figures, versions
from training.scores import CHOSEN_BY
from training.train import TrainedModel
from training.trainer import WARMUP_SHARE


def training_report(
    data: TrainingData, base: BaseModel, settings: dict[str, Any], trained: TrainedModel, with_baseline: bool
) -> dict[str, Any]:
    """Return what `training_report.json` holds; `seconds.total` is added by the caller."""
    chosen_by, more_is_better = CHOSEN_BY[data.task]
    evaluated = [epoch for epoch in trained.epochs if chosen_by in epoch]
    pick = max if more_is_better else min
    best = pick(evaluated, key=lambda epoch: epoch[chosen_by], default={"epoch": 0.0})
    baseline = _baseline(data, settings["seed"]) if with_baseline and data.task is ProblemType.SINGLE_LABEL else None
    seconds = {"training": round(trained.seconds, 1)}
    if baseline:
        seconds["baseline"] = baseline.pop("seconds")
    return {
        "schema_version": SCHEMA_VERSION,
        "task": data.task.value,
        "labels": data.labels,
        "data": {
            "file": data.name,
            "columns": data.columns.as_json(),
            "unit": data.columns.unit,
            "sha256": data.sha256,
            "split_kind": data.split_kind,
            "splits": data.counts(),
            "skipped_rows": data.skipped,
            "look_alike_classes": data.look_alikes,
            "copies": {"groups": sum(map(len, data.copies)), "sets": data.copies},
        },
        "base_model": base.name,
        "sequence_limit": base.sequence_limit,
        "settings": {**settings, "warmup_share": WARMUP_SHARE, "weight_decay": WEIGHT_DECAY, "head_rate": HEAD_RATE},
        "epochs": trained.epochs,
        "best_epoch": best["epoch"],
        "validation": _figures(data, "validation", trained.predictions["validation"]),
        "test": _figures(data, "test", trained.predictions["test"]),
        "baseline": baseline,
        "seconds": seconds,
        "versions": versions(),
    }


def _figures(data: TrainingData, split: SplitName, predicted: Sequence[Target]) -> dict[str, Any]:
    examples = data.splits[split]
    truth = [example.target for example in examples]
    return figures(truth, predicted, data.labels, [example.language for example in examples], data.task)


def _baseline(data: TrainingData, seed: int) -> dict[str, Any]:
    texts = {name: [example.text for example in members] for name, members in data.splits.items()}
    labels = {name: [str(example.target) for example in members] for name, members in data.splits.items()}
    fitted = fit_baseline(
        (texts["train"], labels["train"]),
        (texts["validation"], labels["validation"]),
        texts["test"],
        seed,
    )
    return {
        "features": fitted.features,
        "inverse_regularization": fitted.inverse_regularization,
        "class_weights": fitted.class_weights,
        "validation": _figures(data, "validation", fitted.validation_predictions),
        "test": _figures(data, "test", fitted.test_predictions),
        "seconds": round(fitted.seconds, 1),
    }
