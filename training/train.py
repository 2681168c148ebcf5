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
from transformers import (
    AutoModelForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from pretrained.architectures import Head, architecture_of
from pretrained.batches import fits
from pretrained.collate import LABELS, collate
from pretrained.inputs import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, accepted_inputs, set_input_names
from pretrained.last_end import by_last_end
from repository.manifest import ProblemType
from training.base_model import BaseModel, BaseModelError
from training.batches import NearInLength
from training.data import Example, SplitName, TrainingData
from training.examples import Target
from training.mean_pooling import begin_as_mean_pooling, can_hold_mean_pooling
from training.optimizer import freeze_lower_layers, optimizer
from training.predict import DivergedError, encode, logits_of
from training.scores import CHOSEN_BY, scores
from training.settings import Settings
from training.tasks import Objective
from training.vocabulary import cut_embeddings

WARMUP_SHARE = 0.1
# Of a batch. Each class guessed alike costs the logarithm of their number; only weights gone astray reach this.
DIVERGED_LOSS = 1e4
EVALUATED: tuple[SplitName, ...] = ("validation", "test")
_EVALUATION_BATCH = 64
# Of the Trainer's lines of an evaluation, what says nothing of the model.
_TIMES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")


@dataclass(frozen=True)
class TrainedModel:
    """A fine-tuned model, the best of its epochs, and what it answered."""

    trainer: Trainer
    tokenizer: Any
    logits: dict[SplitName, Any]
    """For `validation` and `test`, FP32 `[texts, labels]`."""
    predictions: dict[SplitName, list[Target]]
    """What these logits answer."""
    epochs: list[dict[str, float]]
    """For each epoch its loss on train and validation, and its figures on validation (`training.scores`)."""
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
    model = load_classifier(base, data.labels, data.task)
    objective = Objective(data, settings.class_weights)
    objective.keep_what_the_head_can(model)
    freeze_lower_layers(model, settings.frozen_share)
    trainer = _Trainer(
        model=model,
        args=_arguments(settings, work_folder, objective.task),
        train_dataset=_encode(data.splits["train"], objective, base, min(settings.max_length, base.longest)),
        eval_dataset=_encode(data.splits["validation"], objective, base, base.sequence_limit),
        data_collator=partial(collate, pad_token_id=model.config.pad_token_id),
        compute_metrics=partial(_validation_scores, data, objective),
        compute_loss_func=objective.loss,
        optimizers=(optimizer(model, settings.learning_rate), None),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=settings.patience)],
    )
    start = perf_counter()
    trainer.train()
    seconds = perf_counter() - start
    objective.unscale(model)
    logits = {
        name: logits_of(model, base.tokenizer, [example.text for example in data.splits[name]], base.sequence_limit)
        for name in EVALUATED
    }
    predictions = {name: objective.answers(logits[name]) for name in EVALUATED}
    return TrainedModel(trainer, base.tokenizer, logits, predictions, _epochs(trainer.state.log_history), seconds)


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


def load_classifier(base: BaseModel, labels: Sequence[str], task: ProblemType = ProblemType.SINGLE_LABEL) -> Any:
    """Load the weights of `base` under a new classifier for `labels`, in their order.

    Raises:
        BaseModelError: the weights are missing, broken or of another shape.
    """
    config = copy.deepcopy(base.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = task.value
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
    if base.rows is not None:
        cut_embeddings(model, base.rows)
    if len(base.tokenizer) > model.get_input_embeddings().num_embeddings:  # a padding token was added
        model.resize_token_embeddings(len(base.tokenizer))
    _choose_inputs(model, base.tokenizer)
    if architecture_of(config).head is Head.LAST_EOS:
        model.forward = by_last_end(model)
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


def _arguments(settings: Settings, work_folder: Path, task: ProblemType) -> TrainingArguments:
    chosen_by, more_is_better = CHOSEN_BY[task]
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
        metric_for_best_model=chosen_by,
        greater_is_better=more_is_better,
        report_to="none",
        dataloader_pin_memory=False,
    )


def _encode(
    examples: Sequence[Example], objective: Objective, base: BaseModel, max_length: int
) -> list[dict[str, Any]]:
    encoded = encode(base.tokenizer, [example.text for example in examples], max_length)
    targets = objective.encoded(examples)
    return [{**each, LABELS: target} for each, target in zip(encoded, targets, strict=True)]


def _validation_scores(data: TrainingData, objective: Objective, prediction: Any) -> dict[str, float]:
    logits = prediction.predictions
    if not np.isfinite(logits).all():
        raise DivergedError("the model answers no finite numbers")
    truth = [example.target for example in data.splits["validation"]]
    return scores(truth, objective.answers(logits, scaled=True), objective.task)


def _epochs(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Gather the Trainer's log lines, one for the train loss and one for validation, by epoch."""
    epochs: dict[float, dict[str, float]] = {}
    for line in history:
        found = {"train_loss": line["loss"]} if "loss" in line else {}
        figures = {name.removeprefix("eval_"): value for name, value in line.items() if name.startswith("eval_")}
        found |= {name: value for name, value in figures.items() if name not in _TIMES}
        if found:
            rounded = {name: round(value, 4) for name, value in found.items()}
            epochs.setdefault(round(line["epoch"], 2), {}).update(rounded)
    return [{"epoch": epoch, **figures} for epoch, figures in sorted(epochs.items())]
