"""What differs in training between one label, several and a number: targets as tensors, the loss, logits as answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from repository.manifest import ProblemType
from training.data.examples import Example, Target
from training.data.load import TrainingData
from training.figures.scores import answers_of, indicators
from training.fit.warm_start import last_linear
from training.settings import ClassWeights


class Objective:
    """Encodes the targets of one data set, scores logits against them, and turns logits into answers."""

    def __init__(self, data: TrainingData, class_weights: ClassWeights = "none", label_smoothing: float = 0.0) -> None:
        """Take the labels and the task of `data`, and its train split to weight classes or to scale numbers by.

        Args:
            data: read and split.
            class_weights: `balanced` weights each class by one over its share of train.
            label_smoothing: share of a target that is spread over all classes, in 0 to 1.
        """
        self.task = data.task
        self.labels = data.labels
        self._smoothing = label_smoothing
        self._weights = _weights(data) if class_weights == "balanced" else None
        # Numbers are learned in units of their own spread, so that the learning rate means the same for any unit.
        numbers = [example.target for example in data.splits["train"] if isinstance(example.target, float)]
        self.mean = float(np.mean(numbers)) if numbers else 0.0
        self.spread = float(np.std(numbers)) if numbers else 1.0

    def encoded(self, examples: Sequence[Example]) -> list[Any]:
        """Return the target of each example as the loss takes it: a class's number, a row of 0.0 and 1.0, a number."""
        targets = [example.target for example in examples]
        if self.task is ProblemType.SINGLE_LABEL:
            numbers = {label: number for number, label in enumerate(self.labels)}
            return [numbers[str(target)] for target in targets]
        if self.task is ProblemType.MULTI_LABEL:
            return [[float(value) for value in row] for row in indicators(targets, self.labels)]
        return [(float(target) - self.mean) / self.spread for target in targets if isinstance(target, float)]

    def loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """Return the mean loss over `num_items_in_batch`: of a batch computed in parts, the parts' losses add up."""
        logits = outputs["logits"]
        weight = None if self._weights is None else self._weights.to(logits)
        if self.task is ProblemType.SINGLE_LABEL:
            total = cross_entropy(logits, labels, weight=weight, reduction="sum", label_smoothing=self._smoothing)
        elif self.task is ProblemType.MULTI_LABEL:
            smooth = labels.to(logits) * (1 - self._smoothing) + self._smoothing / 2
            losses = binary_cross_entropy_with_logits(logits, smooth, pos_weight=weight, reduction="none")
            total = losses.mean(dim=1).sum()
        else:
            total = mse_loss(logits.squeeze(-1), labels.to(logits), reduction="sum")
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    def answers(self, logits: Any, scaled: bool = False) -> list[Target]:
        """Return what logits `[texts, labels]` answer.

        Args:
            logits: finite.
            scaled: a number's logits are in units of its spread, as while training.
        """
        if scaled and self.task is ProblemType.REGRESSION:
            logits = np.asarray(logits) * self.spread + self.mean
        return answers_of(logits, self.labels, self.task)

    def scaled(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits of numbers in their own unit in that of their spread; others as they are."""
        return (logits - self.mean) / self.spread if self.task is ProblemType.REGRESSION else logits

    def unscale(self, model: Any) -> None:
        """Let a model that was trained on scaled numbers answer them in their own unit."""
        if self.task is not ProblemType.REGRESSION:
            return
        _, head = last_linear(model, 1)
        with torch.no_grad():
            head.weight.mul_(self.spread)
            if head.bias is not None:
                head.bias.mul_(self.spread).add_(self.mean)

    def scale(self, model: Any) -> None:
        """Let a model that answers numbers in their own unit answer scaled ones, to be trained further on them."""
        if self.task is not ProblemType.REGRESSION:
            return
        _, head = last_linear(model, 1)
        with torch.no_grad():
            head.weight.div_(self.spread)
            if head.bias is not None:
                head.bias.sub_(self.mean).div_(self.spread)

    def keep_what_the_head_can(self, model: Any) -> None:
        """A head without a bias, as decoders have, cannot add the mean: numbers are scaled alone, not shifted."""
        if self.task is ProblemType.REGRESSION and last_linear(model, 1)[1].bias is None:
            self.mean = 0.0


def _weights(data: TrainingData) -> torch.Tensor | None:
    train = data.splits["train"]
    counts = [sum(label in example.labels for example in train) for label in data.labels]
    if data.task is ProblemType.SINGLE_LABEL:
        return torch.tensor([len(train) / (len(data.labels) * count) for count in counts])
    if data.task is ProblemType.MULTI_LABEL:  # how much more a true label counts than a false one
        return torch.tensor([(len(train) - count) / max(count, 1) for count in counts])
    return None
