"""Reports of made-up models on made-up data for each kind of target, untrained; texts and labels are hostile."""

from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.columns import Columns
from training.data.examples import Example, Target
from training.data.load import TrainingData
from training.figures.nearest import by_words
from training.report.judging import data_facts, figures_of_split, judge

HOSTILE = "<img src=x onerror=alert(1)>\"&'</style><script>alert(2)</script>{{ 7*7 }}"
LABELS = [HOSTILE, "Life", "Work"]
WORDS = {HOSTILE: "attack", "Life": "cooking", "Work": "meeting"}
NUMBERS = ProblemType.REGRESSION
PER_SPLIT = {"train": 60, "validation": 24, "test": 48}


def made_up_data(task: ProblemType, per_split: dict[str, int] | None = None) -> TrainingData:
    """Groups of four texts in two languages; a text says which class it is of."""
    splits: dict[Any, list[Example]] = {}
    number = 0
    for split, count in (per_split or PER_SPLIT).items():
        splits[split] = []
        for _ in range(count):
            label = LABELS[number // 4 % 3]
            text = f"{WORDS[label]} {number}" + (f" {HOSTILE}\u202eevil" if number % 7 == 0 else "")
            language = "en" if number // 4 % 2 else "<b>xx</b>"
            target = _target(task, label, number)
            splits[split].append(Example(text, target, f"g{number // 4}", language=language, row=number + 2))
            number += 1
    columns = Columns(("text",), "label", "group", language="language")
    return TrainingData(f"{HOSTILE}.csv", "0" * 64, columns, task, "groups", splits, {}, [], [])


def _target(task: ProblemType, label: str, number: int) -> Target:
    if task is ProblemType.MULTI_LABEL:
        return tuple(sorted({label, "Work"} if number % 2 else {label} if number % 3 else set()))
    return 1000.0 + 10 * LABELS.index(label) + number % 5 if task is NUMBERS else label


def made_up_logits(data: TrainingData, seed: int = 0) -> dict[Any, Any]:
    """Of a model that is right in three of four texts, and surer than it should be."""
    generator = np.random.default_rng(seed)
    found = {}
    for split in ("validation", "test"):
        examples = data.splits[split]  # type: ignore[index]
        if data.task is NUMBERS:
            truth = np.array([[float(example.target)] for example in examples])  # type: ignore[arg-type]
            found[split] = (truth + generator.normal(0, 5, truth.shape)).astype(np.float32)
            continue
        logits = np.array([[4.0 if label in example.labels else -4.0 for label in data.labels] for example in examples])
        missed = generator.random(len(logits)) < 0.25
        logits[missed] = logits[missed][:, ::-1]
        found[split] = (logits + generator.normal(0, 0.5, logits.shape)).astype(np.float32)
    return found


def made_up_report(task: ProblemType) -> dict[str, Any]:
    """What `training_report.json` would hold of it."""
    data = made_up_data(task)
    logits = made_up_logits(data)
    texts = [[example.text for example in data.splits[name]] for name in ("test", "train")]  # type: ignore[index]
    report = {
        "schema_version": 2,
        "task": task.value,
        "labels": data.labels,
        "data": data_facts(data),
        "base_model": "owner/name",
        "sequence_limit": 128,
        "settings": {"seed": 0, "learning_rate": 5e-5, "max_steps": None},
        "epochs": [{"epoch": 1.0, "train_loss": 0.9, "loss": 0.8}, {"epoch": 2.0, "train_loss": 0.4, "loss": 0.6}],
        "best_epoch": 2.0,
        **judge(data, logits, by_words(*texts), 0),
        "learning_curve": None,
        "baseline": None,
        "seconds": {"training": 1.0},
        "versions": {"python": "3"},
    }
    constant = [example.target for example in data.splits["train"][:1]] * len(data.splits["test"])
    of_constant = figures_of_split(data.splits["test"], constant, data.labels, task)
    report["baseline"] = {"model": "TF-IDF + something", "test": of_constant, "validation": of_constant}
    return report
