"""Fine-tuning: Hugging Face's Trainer on the train split, the epoch kept that is best on validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from training.base_model import BaseModel, BaseModelError
from training.batches import NearInLength
from training.data import Idea, SplitName, TrainingData
from training.mean_pooling import begin_as_mean_pooling, can_hold_mean_pooling
from training.optimizer import freeze_lower_layers, optimizer
from training.predict import answer
from training.scores import accuracy, macro_f1
from training.settings import ClassWeights, Settings

WARMUP_SHARE = 0.1
EVALUATED: tuple[SplitName, ...] = ("validation", "test")
_EVALUATION_BATCH = 64


@dataclass(frozen=True)
class TrainedModel:
    """A fine-tuned model, the best of its epochs, and what it answered."""

    trainer: Trainer
    tokenizer: Any
    predictions: dict[SplitName, list[str]]
    """For `validation` and `test`, the label answered for each sentence."""
    epochs: list[dict[str, float]]
    """For each epoch its loss on train and validation, and its accuracy and macro-F1 on validation."""
    seconds: float
    """Training alone."""


def fine_tune(data: TrainingData, base: BaseModel, settings: Settings, work_folder: Path) -> TrainedModel:
    """Fine-tune `base` on the train split of `data` and answer its validation and test splits.

    Args:
        data: read and split.
        base: read and checked; its weights are loaded here.
        settings: of this run.
        work_folder: takes the Trainer's checkpoints; can be deleted once the model is saved.

    Raises:
        BaseModelError: the weights can't be loaded.
    """
    set_seed(settings.seed)
    # A moment of AdamW that fades below 1e-38 makes each later step of that weight many times slower on a CPU.
    torch.set_flush_denormal(True)
    model = load_classifier(base, data.labels)
    freeze_lower_layers(model, settings.frozen_share)
    trainer = _Trainer(
        model=model,
        args=_arguments(settings, work_folder),
        train_dataset=_encode(data.splits["train"], data.labels, base, settings.max_length),
        eval_dataset=_encode(data.splits["validation"], data.labels, base, base.sequence_limit),
        data_collator=DataCollatorWithPadding(base.tokenizer),
        compute_metrics=_validation_scores,
        compute_loss_func=_loss(data, settings.class_weights),
        optimizers=(optimizer(model, settings.learning_rate), None),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=settings.patience)],
    )
    start = perf_counter()
    trainer.train()
    seconds = perf_counter() - start
    predictions = {
        name: answer(model, base.tokenizer, [idea.sentence for idea in data.splits[name]], base.sequence_limit)
        for name in EVALUATED
    }
    return TrainedModel(trainer, base.tokenizer, predictions, _epochs(trainer.state.log_history), seconds)


class _Trainer(Trainer):  # type: ignore[misc]  # transformers has no types
    def _get_train_sampler(self, train_dataset: Any = None) -> NearInLength:
        encoded = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(example["input_ids"]) for example in encoded]
        return NearInLength(lengths, self.args.per_device_train_batch_size, self.args.seed)


def load_classifier(base: BaseModel, labels: Sequence[str]) -> Any:
    """Load the weights of `base` under a new classifier for `labels`, in their order.

    Raises:
        BaseModelError: the weights are missing, broken or of another shape.
    """
    config = base.config
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    pools_by_mean = base.pools_by_mean and can_hold_mean_pooling(config)
    if pools_by_mean:
        config.num_hidden_layers += 1
    transformers_logging.set_verbosity_error()  # a new classifier being new is no news to the user
    try:
        # A checkpoint that was fine-tuned before has a classifier of another size: it gets a new one.
        model = AutoModelForSequenceClassification.from_pretrained(
            base.name, config=config, trust_remote_code=False, ignore_mismatched_sizes=True
        )
    except Exception as error:
        raise BaseModelError(f"the weights of base model {base.name} can't be loaded: {error}") from None
    if pools_by_mean:
        begin_as_mean_pooling(model)
    return model


def save_checkpoint(trained: TrainedModel, folder: Path, sequence_limit: int) -> None:
    """Write the model (safetensors) and its tokenizer to `folder`, for any Hugging Face tool to load."""
    trained.trainer.model.save_pretrained(folder, safe_serialization=True)
    tokenizer = trained.tokenizer
    # A tokenizer.json keeps the last cut and padding it was asked for (the packaged one: 128 tokens, always):
    # whoever loads it without transformers would cut there.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = sequence_limit
    tokenizer.save_pretrained(folder)


def _arguments(settings: Settings, work_folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work_folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=_EVALUATION_BATCH,
        learning_rate=settings.learning_rate,
        warmup_ratio=WARMUP_SHARE,
        seed=settings.seed,
        data_seed=settings.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        report_to="none",
        dataloader_pin_memory=False,
    )


def _encode(ideas: Sequence[Idea], labels: Sequence[str], base: BaseModel, max_length: int) -> list[dict[str, Any]]:
    numbers = {label: number for number, label in enumerate(labels)}
    encoded = base.tokenizer([idea.sentence for idea in ideas], truncation=True, max_length=max_length, padding=False)
    return [
        {**{name: encoded[name][place] for name in encoded}, "labels": numbers[idea.label]}
        for place, idea in enumerate(ideas)
    ]


def _loss(data: TrainingData, class_weights: ClassWeights) -> Any:
    """Return the cross-entropy, with each class weighted by one over its share of train if `balanced`."""
    weights: torch.Tensor | None = None
    if class_weights == "balanced":
        train = [idea.label for idea in data.splits["train"]]
        weights = torch.tensor([len(train) / (len(data.labels) * train.count(label)) for label in data.labels])

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ARG001
        logits = outputs["logits"]
        return cross_entropy(logits, labels, weight=None if weights is None else weights.to(logits))

    return loss


def _validation_scores(prediction: Any) -> dict[str, float]:
    logits = prediction.predictions
    answered = np.argmax(logits, axis=-1)
    return {
        "accuracy": accuracy(prediction.label_ids, answered),
        "macro_f1": macro_f1(prediction.label_ids, answered),
    }


def _epochs(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Gather the Trainer's log lines, one for the train loss and one for validation, by epoch."""
    names = {"loss": "train_loss", "eval_loss": "loss", "eval_accuracy": "accuracy", "eval_macro_f1": "macro_f1"}
    epochs: dict[float, dict[str, float]] = {}
    for line in history:
        found = {new: round(line[old], 4) for old, new in names.items() if old in line}
        if found:
            epochs.setdefault(round(line["epoch"], 2), {}).update(found)
    return [{"epoch": epoch, **scores} for epoch, scores in sorted(epochs.items())]
