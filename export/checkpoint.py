"""Loads a checkpoint and finds out what the manifest has to say of it: labels, problem type, longest sequence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from export import ExportError
from repository.manifest import ProblemType

# transformers writes about 1e30 where a tokenizer has no limit of its own.
NO_LIMIT = 1_000_000
# Models without a table of positions (relative or rotary ones) get a bound all the same: memory grows with its square.
DEFAULT_MAX_LENGTH = 512


@dataclass(frozen=True)
class Checkpoint:
    """A sequence classifier in memory, on the CPU, in evaluation mode and float32."""

    name: str
    model: Any
    tokenizer: Any
    labels: list[str]
    problem_type: ProblemType
    max_length: int
    pad_token_id: int


def load_checkpoint(source: str) -> Checkpoint:
    """Load a local folder or a hub id. Remote code never runs and pickled weights are not read.

    Raises:
        ExportError: it is not there, is no sequence classifier, or lacks a fast tokenizer.
    """
    transformers_logging.set_verbosity_error()
    if Path(source).exists() and not (Path(source) / "config.json").is_file():
        raise ExportError(f"{source} holds no config.json: give the folder of a Hugging Face checkpoint")
    config = _load(source, AutoConfig)
    architectures = getattr(config, "architectures", None) or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        found = ", ".join(architectures) or "no architecture"
        raise ExportError(f"{source} is no sequence classifier ({found}): fine-tune it first, see `python -m training`")
    model, loading = _load(
        source,
        AutoModelForSequenceClassification,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
    )
    if missing := sorted(loading["missing_keys"]):
        raise ExportError(f"{source} lacks weights ({', '.join(missing[:3])}…): it is no complete sequence classifier")
    tokenizer = _load(source, AutoTokenizer, use_fast=True)
    if not tokenizer.is_fast:
        raise ExportError(f"{source} has no fast tokenizer (tokenizer.json), which the gateway needs")
    labels = _labels(source, config)
    return Checkpoint(
        name=Path(source).resolve().name if Path(source).exists() else source,
        model=model.eval(),
        tokenizer=tokenizer,
        labels=labels,
        problem_type=_problem_type(config, len(labels)),
        max_length=_max_length(config, tokenizer),
        pad_token_id=_pad_token_id(config, tokenizer),
    )


def _load(source: str, auto_class: Any, **options: Any) -> Any:
    try:
        return auto_class.from_pretrained(source, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ExportError(f"{source} cannot be loaded: {reason[:300]}") from None


def _labels(source: str, config: Any) -> list[str]:
    by_id = {int(key): str(value) for key, value in config.id2label.items()}
    if sorted(by_id) != list(range(config.num_labels)):
        raise ExportError(f"{source}: id2label in config.json must name the labels 0 to {config.num_labels - 1}")
    labels = [by_id[index] for index in range(config.num_labels)]
    if len(set(labels)) != len(labels):
        raise ExportError(f"{source}: id2label in config.json gives two labels the same name")
    return labels


def _problem_type(config: Any, label_count: int) -> ProblemType:
    """As `TextClassificationPipeline` decides: one output without a problem type is a sigmoid."""
    if config.problem_type == "regression":
        return ProblemType.REGRESSION
    if config.problem_type == "multi_label_classification" or label_count == 1:
        return ProblemType.MULTI_LABEL
    return ProblemType.SINGLE_LABEL


def _max_length(config: Any, tokenizer: Any) -> int:
    """The longest sequence that both the table of positions and the tokenizer allow, in tokens."""
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        # RoBERTa and its kin number positions from padding id + 1, so the first ones are never used.
        offset = config.pad_token_id + 1 if _counts_from_padding(config) else 0
        limits.append(positions - offset)
    if tokenizer.model_max_length < NO_LIMIT:
        limits.append(tokenizer.model_max_length)
    return int(min(limits, default=DEFAULT_MAX_LENGTH))


def _counts_from_padding(config: Any) -> bool:
    return config.model_type in {
        "camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
        "xlm-roberta-xl", "xmod",
    }  # fmt: skip


def _pad_token_id(config: Any, tokenizer: Any) -> int:
    for candidate in (tokenizer.pad_token_id, config.pad_token_id):
        if candidate is not None and candidate >= 0:
            return int(candidate)
    return 0
