"""Fine-tuning: Hugging Face's Trainer on the train split, the epoch kept that is best on validation."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from pretrained.batches import fits
from pretrained.collate import LABELS, collate
from pretrained.inputs import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, accepted_inputs, set_input_names
from training.base_model import BaseModel, BaseModelError
from training.batches import NearInLength
from training.data import Idea, SplitName, TrainingData
from training.mean_pooling import begin_as_mean_pooling, can_hold_mean_pooling
from training.optimizer import freeze_lower_layers, optimizer
from training.predict import DivergedError, answer, encode
from training.scores import accuracy, macro_f1
from training.settings import ClassWeights, Settings

WARMUP_SHARE = 0.1
# Of a batch. Each class guessed alike costs the logarithm of their number; only weights gone astray reach this.
DIVERGED_LOSS = 1e4
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
        DivergedError: the loss or an answer is no number any more.
    """
    set_seed(settings.seed)
    # A moment of AdamW that fades below 1e-38 makes each later step of that weight many times slower on a CPU.
    torch.set_flush_denormal(True)
    model = load_classifier(base, data.labels)
    freeze_lower_layers(model, settings.frozen_share)
    trainer = _Trainer(
        model=model,
        args=_arguments(settings, work_folder),
        train_dataset=_encode(data.splits["train"], data.labels, base, min(settings.max_length, base.longest)),
        eval_dataset=_encode(data.splits["validation"], data.labels, base, base.sequence_limit),
        data_collator=partial(collate, pad_token_id=model.config.pad_token_id),
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
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # The loss is computed here (see `_loss`): some forwards take no more arguments than the model needs.
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, train_dataset: Any = None) -> NearInLength:
        encoded = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(example[INPUT_IDS]) for example in encoded]
        return NearInLength(lengths, self.args.per_device_train_batch_size, self.args.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        # Gradients of the parts add up to that of the batch, because the loss is a sum over so many items.
        loss = sum(super(_Trainer, self).training_step(model, part, num_items_in_batch) for part in _parts(inputs))
        assert isinstance(loss, torch.Tensor)
        if not loss <= DIVERGED_LOSS:  # NaN is not either
            raise DivergedError(f"the loss is {float(loss):.3g} at step {self.state.global_step + 1}")
        return loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Any, Any, Any]:
        parts = list(_parts(inputs))
        answers = [super(_Trainer, self).prediction_step(model, p, prediction_loss_only, ignore_keys) for p in parts]
        losses, logits, labels = zip(*answers, strict=True)
        sizes = torch.tensor([len(part[LABELS]) for part in parts], device=losses[0].device)
        # What else a model gives, BART its encoder's output, would be kept of every text, and joined.
        alone = [each[0] if isinstance(each, tuple) else each for each in logits]
        return (torch.stack(losses) * sizes).sum() / sizes.sum(), torch.cat(alone), torch.cat(labels)


def _parts(batch: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Cut a batch into as few parts as fit into the memory, each padded no further than to its own longest text."""
    count, length = batch[INPUT_IDS].shape
    size = count
    while not fits(size, length):
        size //= 2
    if size == count:
        # A copy: the Trainer takes the labels out of what it is given.
        yield dict(batch)
        return
    for start in range(0, count, size):
        part = {name: tensor[start : start + size] for name, tensor in batch.items()}
        longest = int(part[ATTENTION_MASK].sum(dim=1).max())
        yield {name: tensor[:, :longest] if tensor.ndim > 1 else tensor for name, tensor in part.items()}


def load_classifier(base: BaseModel, labels: Sequence[str]) -> Any:
    """Load the weights of `base` under a new classifier for `labels`, in their order.

    Raises:
        BaseModelError: the weights are missing, broken or of another shape.
    """
    config = copy.deepcopy(base.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    # The base's own code, which was not run; what is saved here needs none.
    vars(config).pop("auto_map", None)
    base.tokenizer.init_kwargs.pop("auto_map", None)
    pools_by_mean = base.pools_by_mean and can_hold_mean_pooling(config)
    if pools_by_mean:
        config.num_hidden_layers += 1
    try:
        # A checkpoint that was fine-tuned before has a classifier of another size: it gets a new one.
        model = AutoModelForSequenceClassification.from_pretrained(
            base.name, config=config, trust_remote_code=False, ignore_mismatched_sizes=True
        )
    except Exception as error:
        raise BaseModelError(f"the weights of base model {base.name} can't be loaded: {error}") from None
    if pools_by_mean:
        begin_as_mean_pooling(model)
    if len(base.tokenizer) > model.get_input_embeddings().num_embeddings:  # a padding token was added
        model.resize_token_embeddings(len(base.tokenizer))
    _choose_inputs(model, base.tokenizer)
    return model


def _choose_inputs(model: Any, tokenizer: Any) -> None:
    """Let the tokenizer give what the model has a use for, in training and wherever the checkpoint is loaded.

    Token types only where the model has a table of them: GPT-2 looks them up among its words, so that every token
    would get word 0 added to it.
    """
    names = [INPUT_IDS, ATTENTION_MASK]
    given = TOKEN_TYPE_IDS in tokenizer.model_input_names
    if given and getattr(model.config, "type_vocab_size", None) and TOKEN_TYPE_IDS in accepted_inputs(model):
        names.insert(1, TOKEN_TYPE_IDS)
    set_input_names(tokenizer, names)


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
    encoded = encode(base.tokenizer, [idea.sentence for idea in ideas], max_length)
    return [{**each, LABELS: numbers[idea.label]} for each, idea in zip(encoded, ideas, strict=True)]


def _loss(data: TrainingData, class_weights: ClassWeights) -> Any:
    """Return the mean cross-entropy, with each class weighted by one over its share of train if `balanced`.

    The mean is over `num_items_in_batch`: of a batch that is computed in parts, the parts' losses add up.
    """
    weights: torch.Tensor | None = None
    if class_weights == "balanced":
        train = [idea.label for idea in data.splits["train"]]
        weights = torch.tensor([len(train) / (len(data.labels) * train.count(label)) for label in data.labels])

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs["logits"]
        weight = None if weights is None else weights.to(logits)
        total = cross_entropy(logits, labels, weight=weight, reduction="sum")
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return loss


def _validation_scores(prediction: Any) -> dict[str, float]:
    logits = prediction.predictions
    if not np.isfinite(logits).all():
        raise DivergedError("the model answers no finite numbers")
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
