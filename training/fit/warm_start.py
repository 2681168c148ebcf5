"""A checkpoint trained further keeps its classifier for the labels it knows, and is not tested on what it has seen."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from repository.manifest import ProblemType
from training.data.load import SPLIT_NAMES, DataError, SplitName, TrainingData
from training.data.near_copies import joined_groups
from training.data.split_record import SplitRecord

_UNNAMED = "LABEL_"  # as transformers calls a label that nobody named


def known_labels(config: Any, labels: Sequence[str], task: ProblemType) -> list[str]:
    """Return those of `labels` that a base model of this configuration has a classifier for, of the same task."""
    architectures = getattr(config, "architectures", None) or []
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        return []
    if (config.problem_type or ProblemType.SINGLE_LABEL.value) != task.value:
        return []
    own = set(config.id2label.values())
    return [] if all(str(label).startswith(_UNNAMED) for label in own) else [label for label in labels if label in own]


@torch.no_grad()
def refit_classifier(model: Any, labels: Sequence[str]) -> None:
    """Give a classifier loaded with its own labels one row for each of `labels`: its own by name, or a new one."""
    old_labels = [model.config.id2label[number] for number in range(model.config.num_labels)]
    name, old = last_linear(model, len(old_labels))
    new = torch.nn.Linear(old.in_features, len(labels), bias=old.bias is not None, dtype=old.weight.dtype)
    model._init_weights(new)
    for place, label in enumerate(labels):
        if label in old_labels:
            row = old_labels.index(label)
            new.weight[place] = old.weight[row]
            if old.bias is not None:
                new.bias[place] = old.bias[row]
    parent, _, own_name = name.rpartition(".")
    setattr(model.get_submodule(parent), own_name, new)
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    model.num_labels = len(labels)


def last_linear(model: Any, width: int) -> tuple[str, torch.nn.Linear]:
    """Return the layer that gives the logits, and its name."""
    encoder = f"{model.base_model_prefix}."
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.startswith(encoder) and module.out_features == width
    ][-1]


def without_what_was_seen(data: TrainingData, base: str) -> tuple[TrainingData, list[str]]:
    """Return the data with each text in the split that it was in when `base` was trained, and what is to be said of it.

    Texts that `base` never saw stay where they are. Its record joins that of the data: whoever exports what is trained
    now, or trains it once more, knows all that it has seen.

    Raises:
        DataError: a file of its own for validation or test holds texts that `base` was trained on, no text is left for
            one of the splits, or the record can't be read.
    """
    record = SplitRecord.read(Path(base)) if Path(base).is_dir() else None
    if record is None:
        return data, []
    if reason := _not_comparable(record, data):
        unknown = f"Warning: what {base} was trained on can't be recognised here ({reason}); figures may read too well."
        return data, [unknown]
    joined = replace(data, before=record)
    if data.split_kind == "files":
        return _checked_files(joined, record, base), []
    splits = _moved(data, record)
    if moved := sum(len(set(_keys(splits[name])) - set(_keys(data.splits[name]))) for name in SPLIT_NAMES):
        _check(splits, base)
        counts = ", ".join(f"{name} {len(splits[name])}" for name in SPLIT_NAMES)
        note = f"{moved} texts stay in the split in which {base} had them: {counts}."
        return replace(joined, splits=splits), [note]
    return joined, []


def _not_comparable(record: SplitRecord, data: TrainingData) -> str | None:
    if record.kind != data.split_kind:
        return f"it was split by {record.kind}, this data by {data.split_kind}"
    if record.columns.group != data.columns.group:
        return f"its groups were by {record.columns.group or 'text'}, these are by {data.columns.group or 'text'}"
    if data.columns.group is None and record.columns.text != data.columns.text:
        return f"its texts were {' + '.join(record.columns.text)}, these are {' + '.join(data.columns.text)}"
    return None


def _keys(examples: Sequence[Any]) -> list[tuple[str, str, int]]:
    return [(example.group, example.text, example.row) for example in examples]


def _moved(data: TrainingData, record: SplitRecord) -> dict[SplitName, list[Any]]:
    everything = [(name, example) for name in SPLIT_NAMES for example in data.splits[name]]
    seen = {id(example): record.split_of(example) for _, example in everything}
    if data.split_kind == "groups":
        # Copies of a group that was trained on were trained on.
        places: dict[str, set[SplitName]] = {}
        for _, example in everything:
            if place := seen[id(example)]:
                places.setdefault(example.group, set()).add(place)
        for names in joined_groups([example for _, example in everything]):
            found = {place for name in names for place in places.get(name, ())}
            first = next((place for place in SPLIT_NAMES if place in found), None)
            places |= {name: {first} for name in names if first}
        seen = {id(example): next(iter(places.get(example.group, ())), None) for _, example in everything}
    splits: dict[SplitName, list[Any]] = {name: [] for name in SPLIT_NAMES}
    for name, example in everything:
        splits[seen[id(example)] or name].append(example)
    return splits


def _checked_files(data: TrainingData, record: SplitRecord, base: str) -> TrainingData:
    for name in ("validation", "test"):
        if seen := sum(record.split_of(example) == "train" for example in data.splits[name]):
            raise DataError(
                f"{seen} of the {len(data.splits[name])} {name} texts were trained on by {base}: take them out, or "
                "begin with another --base-model."
            )
    return data


def _check(splits: dict[SplitName, list[Any]], base: str) -> None:
    trained = {label for example in splits["train"] for label in example.labels}
    for name in SPLIT_NAMES:
        if not splits[name]:
            raise DataError(
                f"no text is left for {name}: {base} has been trained or tested on all of this data. Add new texts, or "
                "begin with another --base-model."
            )
        if lacking := sorted({label for example in splits[name] for label in example.labels} - trained):
            raise DataError(
                f"the class {lacking[0]} is left in no text to train on, because {base} was tested on them all: add "
                "some, or begin with another --base-model."
            )
