"""What a checkpoint's outputs mean: the label names in the order of the logits, and how logits become scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from export import ExportError
from repository.manifest import ProblemType
from repository.names import refused_label, visible

# A manifest of this many names is a few megabytes. What has more labels is retrieval, not classification; and a
# config.json can claim any number, which transformers would spell out in memory before looking at the weights.
MOST_LABELS = 100_000


def label_names(
    source: str, config: Mapping[str, Any], width: int | None, given: Sequence[str] | None = None
) -> list[str]:
    """Label names in the order of the logits, by what `config.json` says and the width of the head.

    A label that has no name gets the one transformers gives it: LABEL_0, LABEL_1 and so on.

    Args:
        source: name of the checkpoint, for errors.
        config: content of `config.json`.
        width: number of logits by the shape of the head's weights, or None if that is unknown.
        given: names that the user gives in place of those.

    Raises:
        ExportError: names and width contradict each other, or two labels have the same name, or one cannot be used.
    """
    names = _by_index(source, config) if given is None else dict(enumerate(given))
    count = width or config.get("num_labels") or len(names) or 2  # transformers' default is two
    if not isinstance(count, int) or not 0 < count <= MOST_LABELS:
        raise ExportError(f"{source} has {count} labels; 1 to {MOST_LABELS:,} can be served")
    stated = config.get("num_labels")
    if stated is not None and stated != count:
        raise ExportError(f"{source}: config.json says num_labels {stated}, but the weights give {count} logits")
    if given is not None and len(given) != count:
        raise ExportError(f"{source} has {count} labels, and --labels names {len(given)}: name each, in their order")
    if outside := [index for index in names if not 0 <= index < count]:
        raise ExportError(
            f"{source}: id2label in config.json names label {outside[0]}, but the labels are 0 to {count - 1}"
        )
    labels = [names.get(index, f"LABEL_{index}") for index in range(count)]
    if len(set(labels)) != count:
        twice = next(name for name in labels if labels.count(name) > 1)
        where = "id2label in config.json" if given is None else "--labels"
        raise ExportError(f"{source}: {where} gives two labels the same name, {twice!r}: rename one")
    for index, label in enumerate(labels):
        if reason := refused_label(label):
            raise ExportError(f"{source}: label {index}, '{visible(label)}', {reason}: rename it")
    return labels


def problem_type(config: Any, label_count: int) -> ProblemType:
    """As `TextClassificationPipeline` decides: one output without a problem type is a sigmoid."""
    if config.problem_type == "regression":
        return ProblemType.REGRESSION
    if config.problem_type == "multi_label_classification" or label_count == 1:
        return ProblemType.MULTI_LABEL
    return ProblemType.SINGLE_LABEL


def _by_index(source: str, config: Mapping[str, Any]) -> dict[int, str]:
    """`id2label` with keys as numbers; where it is absent, `label2id` turned round."""
    named = config.get("id2label")
    if not named and isinstance(config.get("label2id"), dict):
        named = {index: name for name, index in config["label2id"].items()}
    if not named:
        return {}
    try:
        return {int(index): str(name) for index, name in named.items()}
    except (AttributeError, TypeError, ValueError):
        raise ExportError(
            f'{source}: id2label in config.json must give names by number, as in {{"0": "no", "1": "yes"}}'
        ) from None
