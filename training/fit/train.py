"""Fine-tuning: Hugging Face's Trainer on the train split, the epoch kept that is best on validation."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerState,
    set_seed,
)

from pretrained.architectures import Head, architecture_of
from pretrained.collate import LABELS, collate
from pretrained.inputs import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, accepted_inputs, set_input_names
from pretrained.last_end import by_last_end
from repository.console import Console
from repository.manifest import ProblemType
from training.data.examples import Target
from training.data.load import Example, SplitName, TrainingData
from training.encoders.base_folder import BaseModelError
from training.encoders.base_model import BaseModel
from training.encoders.mean_pooling import begin_as_mean_pooling, can_hold_mean_pooling
from training.encoders.vocabulary import cut_embeddings
from training.figures.scores import scores
from training.fit.checkpoints import STATE_FILE, Run, is_finished
from training.fit.epoch_table import EpochTable
from training.fit.lora import add_adapters
from training.fit.optimizer import HEAD_RATE, freeze_lower_layers, optimizer
from training.fit.predict import DivergedError, encode, logits_of
from training.fit.stopping import KeepsCheckpoints, stopping_between_steps
from training.fit.tasks import Objective
from training.fit.trainer import CHOSEN, ClassifierTrainer, arguments, precision_for
from training.fit.warm_start import known_labels, refit_classifier
from training.settings import Settings

EVALUATED: tuple[SplitName, ...] = ("validation", "test")
# Of the Trainer's lines of an evaluation, what says nothing of the model, and what a figure and another make together.
_LEFT_OUT = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time", CHOSEN)


@dataclass(frozen=True)
class TrainedModel:
    """A fine-tuned model, the best of its epochs, and what it answered."""

    model: Any
    tokenizer: Any
    logits: dict[SplitName, Any]
    """For `validation` and `test`, FP32 `[texts, labels]`."""
    predictions: dict[SplitName, list[Target]]
    """What these logits answer."""
    epochs: list[dict[str, float]]
    """For each epoch its loss on train and validation, and its figures on validation (`training.figures.scores`)."""
    seconds: float
    """Training alone."""


def fine_tune(
    data: TrainingData, base: BaseModel, settings: Settings, run: Run, console: Console | None = None
) -> TrainedModel:
    """Fine-tune `base` on the train split of `data` and answer its validation and test splits.

    Args:
        data: read and split.
        base: read and checked; its weights are loaded here.
        settings: of this run.
        run: takes the checkpoints, and names the one to go on from; can be deleted once the model is saved.
        console: shows the epochs; None: nothing is shown.

    Raises:
        BaseModelError: the weights can't be loaded.
        DivergedError: the loss or an answer is no number any more.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a last checkpoint.
    """
    return trained_by(lambda: Learner(data, base, settings, run.trainer_folder, console), run)


def trained_by(begin: Callable[[], "Learner"], run: Run) -> TrainedModel:
    """Train what `begin` makes; see `fine_tune`."""
    with stopping_between_steps() as stop:
        learner = begin()
        learner.trainer.add_callback(KeepsCheckpoints(stop, run.saved))
        start = perf_counter()
        learner.train(run.checkpoint)
        seconds = perf_counter() - start
    model = learner.finished_model()
    logits, predictions = answers_to(learner.data, model, learner.base, learner.objective)
    return TrainedModel(model, learner.base.tokenizer, logits, predictions, _epochs(learner.history), seconds)


def answers_to(
    data: TrainingData, model: Any, base: BaseModel, objective: Objective
) -> tuple[dict[SplitName, Any], dict[SplitName, list[Target]]]:
    """Return a model's logits for the texts of the validation and the test split, and what they answer."""
    logits = {
        name: logits_of(model, base.tokenizer, [example.text for example in data.splits[name]], base.sequence_limit)
        for name in EVALUATED
    }
    return logits, {name: objective.answers(logits[name]) for name in EVALUATED}


class Learner:
    """A model on its way from the base to what is saved."""

    def __init__(
        self,
        data: TrainingData,
        base: BaseModel,
        settings: Settings,
        folder: Path,
        console: Console | None = None,
        keep: bool = True,
        step: str | None = None,
    ) -> None:
        """Load the weights and encode the texts; see `fine_tune`.

        Args:
            data: read and split.
            base: read and checked.
            settings: of this run.
            folder: takes the checkpoints.
            console: shows the epochs; see `step`.
            step: what this is one of several of: then a bar shows it, and no table.
            keep: whether there are checkpoints. Without, the last epoch's model is left, not the best one's.
        """
        set_seed(settings.seed)
        # A moment of AdamW that fades below 1e-38 makes each later step of that weight many times slower on a CPU.
        torch.set_flush_denormal(True)
        self.data, self.base, self.settings = data, base, settings
        self.model = self.begin()
        self.objective = Objective(data, settings.class_weights, settings.label_smoothing)
        self.objective.keep_what_the_head_can(self.model)
        self._forward = vars(self.model).get("forward")
        self._table = EpochTable(console, step) if console else None
        self.known_labels = self.labels_of_head()
        if self.known_labels:
            self.objective.scale(self.model)
        self.freeze()
        self._adapters = add_adapters(self.model, settings.lora_rank) if settings.lora_rank else None
        head_rate = 1 if self.known_labels == data.labels else HEAD_RATE
        train = self.train_texts(min(settings.max_length, base.longest))
        precision = precision_for(self.model, encode(base.tokenizer, ["a"], base.longest)[0], settings.mixed_precision)
        self.trainer = self.trainer_of(
            model=self.model,
            args=arguments(replace(settings, mixed_precision=precision), folder, data.task, keep),
            train_dataset=train,
            eval_dataset=_encode(data.splits["validation"], self.objective, base, base.sequence_limit),
            data_collator=partial(collate, pad_token_id=self.model.config.pad_token_id),
            compute_metrics=self.figures,
            compute_loss_func=self.objective.loss,
            optimizers=(self.optimizer(head_rate), None),
            callbacks=[EarlyStoppingCallback(settings.patience), *([self._table] if self._table else [])],
        )
        self.trainer.remove_callback(PrinterCallback)

    def begin(self) -> Any:
        """Return the model that training begins with."""
        return load_classifier(self.base, self.data.labels, self.data.task)

    def labels_of_head(self) -> list[str]:
        """Return the labels that it has a classifier for to begin with."""
        return known_labels(self.base.config, self.data.labels, self.data.task)

    def freeze(self) -> None:
        """Leave out of training what is not to be trained."""
        freeze_lower_layers(self.model, self.settings.frozen_share)

    def optimizer(self, head_rate: float) -> torch.optim.Optimizer:
        """Return what trains the weights, the head's at `head_rate` times the rate of the others."""
        return optimizer(self.model, self.settings.learning_rate, head_rate)

    def train_texts(self, max_length: int) -> list[dict[str, Any]]:
        """Return what is trained on: texts as the tokenizer gives them, each with its target."""
        return _encode(self.data.splits["train"], self.objective, self.base, max_length)

    def trainer_of(self, **parts: Any) -> ClassifierTrainer:
        """Return the Trainer of these parts."""
        return ClassifierTrainer(**parts)

    def figures(self, prediction: Any) -> dict[str, float]:
        """Return the figures of the Trainer's answers to the validation texts."""
        logits = prediction.predictions
        if not np.isfinite(logits).all():
            raise DivergedError("the model answers no finite numbers")
        truth = [example.target for example in self.data.splits["validation"]]
        return scores(truth, self.objective.answers(logits, scaled=True), self.objective.task)

    def train(self, checkpoint: Path | None = None) -> None:
        """Train to the end, from the base or from a checkpoint."""
        if checkpoint and is_finished(checkpoint):
            self.trainer.state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
            self.trainer._load_best_model()
            return
        try:
            self.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            if self._table:
                self._table.close()

    @property
    def history(self) -> list[dict[str, float]]:
        """The Trainer's log lines."""
        return list(self.trainer.state.log_history)

    def finished_model(self) -> Any:
        """Return the model as it is saved: in 32 bits, without adapters, and with numbers in their own unit."""
        # The Trainer has put a forward in 16 bits before it, in which figures would not be those of what is served.
        vars(self.model).pop("_original_forward", None)
        vars(self.model).pop("forward", None)
        if self._forward is not None:
            self.model.forward = self._forward
        if self._adapters is not None:
            self._adapters.merge_and_unload()
        self.objective.unscale(self.model)
        return self.model


def load_classifier(base: BaseModel, labels: Sequence[str], task: ProblemType = ProblemType.SINGLE_LABEL) -> Any:
    """Load the weights of `base` under a classifier for `labels`, in their order: a new one but for labels it knows.

    Raises:
        BaseModelError: the weights are missing, broken or of another shape.
    """
    config = copy.deepcopy(base.config)
    if not (known := known_labels(config, labels, task)):
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
        # A checkpoint that was fine-tuned for other labels may have a classifier of another size: it gets a new one.
        model = AutoModelForSequenceClassification.from_pretrained(
            base.name, config=config, trust_remote_code=False, ignore_mismatched_sizes=True
        )
    except Exception as error:
        raise BaseModelError(f"the weights of base model {base.name} can't be loaded: {error}") from None
    if known:
        refit_classifier(model, labels)
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


def _encode(
    examples: Sequence[Example], objective: Objective, base: BaseModel, max_length: int
) -> list[dict[str, Any]]:
    encoded = encode(base.tokenizer, [example.text for example in examples], max_length)
    return [{**each, LABELS: target} for each, target in zip(encoded, objective.encoded(examples), strict=True)]


def _epochs(history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Gather the Trainer's log lines by epoch: the train loss, maybe in parts, and then the figures on validation."""
    epochs: list[dict[str, float]] = []
    losses: list[tuple[float, float]] = []
    before = 0.0
    for line in history:
        if "loss" in line:
            losses.append((line["loss"], line["step"] - before))
            before = line["step"]
        figures = {name.removeprefix("eval_"): value for name, value in line.items() if name.startswith("eval_")}
        if figures := {name: value for name, value in figures.items() if name not in _LEFT_OUT}:
            steps = sum(count for _, count in losses)
            found = {"train_loss": sum(loss * count for loss, count in losses) / steps} if steps else {}
            rounded = {name: round(value, 4) for name, value in {**found, **figures}.items()}
            epochs.append({"epoch": round(line["epoch"], 2), **rounded})
            losses = []
    return epochs
