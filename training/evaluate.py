"""The report of a run is put together here: data, settings, the model's figures and the baseline's beside them."""

from typing import Any

from training.base_model import BaseModel
from training.baseline import fit_baseline
from training.data import SplitName, TrainingData
from training.optimizer import HEAD_RATE, WEIGHT_DECAY
from training.report import SCHEMA_VERSION, figures, versions
from training.train import WARMUP_SHARE, TrainedModel


def training_report(
    data: TrainingData, base: BaseModel, settings: dict[str, Any], trained: TrainedModel, with_baseline: bool
) -> dict[str, Any]:
    """Return what `training_report.json` holds; `seconds.total` is added by the caller."""
    best = max(trained.epochs, key=lambda epoch: epoch.get("macro_f1", -1.0), default={"epoch": 0.0})
    baseline = _baseline(data, settings["seed"]) if with_baseline else None
    seconds = {"training": round(trained.seconds, 1)}
    if baseline:
        seconds["baseline"] = baseline.pop("seconds")
    return {
        "schema_version": SCHEMA_VERSION,
        "labels": data.labels,
        "data": {
            "file": data.path.name,
            "sha256": data.sha256,
            "split_kind": data.split_kind,
            "splits": data.counts(),
            "skipped_rows": data.skipped,
            "look_alike_classes": data.look_alikes,
            "copies": {"maps": sum(map(len, data.copies)), "groups": data.copies},
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


def _figures(data: TrainingData, split: SplitName, predicted: list[str]) -> dict[str, Any]:
    ideas = data.splits[split]
    return figures([idea.label for idea in ideas], predicted, data.labels, [idea.language for idea in ideas])


def _baseline(data: TrainingData, seed: int) -> dict[str, Any]:
    sentences = {name: [idea.sentence for idea in ideas] for name, ideas in data.splits.items()}
    labels = {name: [idea.label for idea in ideas] for name, ideas in data.splits.items()}
    fitted = fit_baseline(
        (sentences["train"], labels["train"]),
        (sentences["validation"], labels["validation"]),
        sentences["test"],
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
