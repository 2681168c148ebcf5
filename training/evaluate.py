"""The report of a run is put together here: data, settings, the model's figures and the baseline's beside them."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from repository.console import Console
from repository.inference import scores as scores_of
from repository.manifest import ProblemType
from training.asked import AskedCheckpoint
from training.base_model import PACKAGED_ENCODER, BaseModel
from training.baseline import ALL_FEATURES, fit_baseline, text_features
from training.calibration import calibration
from training.compared import compared_with_served
from training.data import SplitName, TrainingData
from training.examples import Example, Target
from training.learning_curve import learning_curve
from training.linear import LinearModel
from training.mistakes import worst_mistakes
from training.nearest import BY_WORDS, Likeness, by_vectors, by_words
from training.optimizer import HEAD_RATE, WEIGHT_DECAY
from training.report import SCHEMA_VERSION, SPLITS, figures, versions
from training.scores import CHOSEN_BY, answers_of
from training.train import WARMUP_SHARE, TrainedModel

Logits = npt.NDArray[np.float32]

# A learning curve of more takes longer than it is worth: whoever has so much need not ask.
MOST_OF_A_CURVE = 20_000
# Of the base's vectors: chosen on the validation split of the shipped maps.
_VECTOR_STRENGTH = 0.01
_POINTS = 500
_packaged = {PACKAGED_ENCODER: "sentence-transformers/all-MiniLM-L6-v2"}


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
        served: the version to compare with, see `training.served.served_version`.
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
        served: the version to compare with, see `training.served.served_version`.

    Returns:
        `validation` and `test` (`training.report.figures`, of test the `calibration` or the `points` of a regression),
        `mistakes`, which holds texts, and `served`.
    """
    labels = data.labels if labels is None else labels
    found: dict[str, Any] = {}
    for split in (split for split in SPLITS if data.splits[split]):  # type: ignore[index]
        examples = data.splits[split]  # type: ignore[index]
        answers = answers_of(logits[split], labels, data.task)  # type: ignore[index]
        found[split] = figures_of_split(examples, answers, labels, data.task)
    test, test_scores = data.splits["test"], scores_of(logits["test"], data.task)
    truth, groups = [example.target for example in test], [example.group for example in test]
    found["test"]["calibration"] = calibration(truth, answers, test_scores, labels, groups, data.task, seed)
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


def public_name(base: str) -> str:
    """Return what to call a base model where others read it: a hub id, or a folder without the way to it."""
    folder = Path(base)
    if not folder.is_dir():
        return base
    packaged = [name for name in folder.parts if name in _packaged]
    return _packaged[packaged[-1]] if packaged else folder.name


def _some(count: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).permutation(count)[:_POINTS].tolist())


def _likeness_by_words(data: TrainingData) -> Likeness:
    return by_words(*([example.text for example in data.splits[name]] for name in ("test", "train")))


def _likeness_by(base: BaseModel, data: TrainingData) -> Likeness | None:
    """By the base's own vectors; None where there are too many texts to compute them."""
    texts = [example.text for name in ("test", "train") for example in data.splits[name]]
    if len(texts) > MOST_OF_A_CURVE:
        return None
    from training.embeddings import base_vectors

    with Console(stderr=True).progress("Reading the texts once more, for the report", len(texts)) as advance:
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
