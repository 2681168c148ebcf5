"""What is a student to give? The teacher's answers, the true labels, and what the teacher's layers give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div, log_softmax, mse_loss, softmax

from pretrained.collate import LABELS, collate
from pretrained.inputs import ATTENTION_MASK
from repository.manifest import ProblemType
from training.fit.layers import stands_for, watched
from training.fit.tasks import Objective
from training.settings import DistillSettings

PLACE = "place"
"""Name of a text's number in a batch, by which the teacher's answer to it is found."""


@dataclass(frozen=True)
class Texts:
    """What a student learns from."""

    encoded: list[dict[str, Any]]
    """Each with its target, any one where nobody knows it, and its place."""
    known: torch.Tensor
    """Whether its true label is known, BOOL `[texts]`."""
    logits: torch.Tensor | None
    """The teacher's, FP32 `[texts, labels]`; numbers in units of their spread. None: the teacher is asked batch by
    batch, as it has to be for what its layers give."""


class Lesson:
    """The loss of one student."""

    def __init__(
        self,
        teacher: Any,
        layers: Sequence[nn.Module],
        kept: Sequence[int],
        texts: Texts,
        objective: Objective,
        settings: DistillSettings,
    ) -> None:
        """Take what stays the same.

        Args:
            teacher: the model, in evaluation mode.
            layers: its layers.
            kept: those that the student began with.
            texts: that it learns from.
            objective: of the true labels.
            settings: of this run.
        """
        self.texts = texts
        self._teacher = teacher
        self._layers = [layers[number] for number in stands_for(kept, len(layers))]
        self._objective = objective
        self._settings = settings

    def of_batch(
        self, model: Any, layers: Sequence[nn.Module], inputs: dict[str, Any], half: torch.dtype | None
    ) -> tuple[torch.Tensor, Any]:
        """Return the sum of a batch's losses, and what the student answered.

        Args:
            model: the student.
            layers: its layers.
            inputs: of one batch, with labels and places.
            half: what the teacher computes in; None: in float32.
        """
        places, labels = inputs.pop(PLACE).cpu(), inputs.pop(LABELS)
        with watched(layers) as own:
            outputs = model(**inputs)
        logits = outputs.logits.float()
        theirs: list[torch.Tensor] = []
        if self.texts.logits is None:
            wanted, theirs = self._asked(inputs, half)
        else:
            wanted = self.texts.logits[places].to(logits.device)
        loss = soft_loss(logits, wanted, self._objective.task, self._settings.temperature)
        known = self.texts.known[places].to(logits.device)
        if self._settings.truth_weight and known.any():
            truth = self._objective.loss({"logits": logits[known]}, labels[known], 1)
            loss = loss + self._settings.truth_weight * truth
        if theirs:
            loss = loss + self._settings.hidden_weight * hidden_loss(own, theirs, inputs[ATTENTION_MASK])
        return loss, outputs

    @torch.no_grad()
    def _asked(self, inputs: dict[str, Any], half: torch.dtype | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The teacher's logits for a batch, scaled, and what its layers give."""
        device = inputs[ATTENTION_MASK].device
        self._teacher.to(device)
        with torch.autocast(device.type, dtype=half, enabled=half is not None), watched(self._layers) as theirs:
            logits = self._teacher(**inputs).logits
        return self._objective.scaled(logits.float()), theirs


def soft_loss(logits: torch.Tensor, wanted: torch.Tensor, task: ProblemType, temperature: float) -> torch.Tensor:
    """Return how far a student's logits are from the teacher's, both `[batch, labels]`, summed over the texts.

    One label: the Kullback-Leibler divergence of what softmax gives at a temperature, times its square, so that the
    gradient does not shrink with it (Hinton et al., Distilling the Knowledge in a Neural Network, 2015). Several: each
    label's cross-entropy likewise, by sigmoid. A number: the squared difference.
    """
    if task is ProblemType.SINGLE_LABEL:
        own, theirs = log_softmax(logits / temperature, dim=-1), softmax(wanted / temperature, dim=-1)
        return kl_div(own, theirs, reduction="sum") * temperature**2
    if task is ProblemType.MULTI_LABEL:
        theirs = torch.sigmoid(wanted / temperature)
        losses = binary_cross_entropy_with_logits(logits / temperature, theirs, reduction="none")
        return losses.mean(dim=1).sum() * temperature**2
    return mse_loss(logits, wanted, reduction="sum")


def hidden_loss(own: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    """Return how far the layers' outputs are from those they stand for, summed over the texts.

    Of a token it is the squared distance over the teacher's squared length, so that it means the same in models of any
    scale; the mean over a text's tokens, without padding, and over the layers.

    Args:
        own: of each layer of the student, `[batch, tokens, width]`.
        theirs: of the layers that these stand for.
        mask: 1 for tokens, 0 for padding, `[batch, tokens]`.
    """
    tokens = mask.float()
    share = tokens / tokens.sum(dim=1, keepdim=True).clamp(min=1)
    total = torch.zeros((), device=mask.device)
    for mine, other in zip(own, theirs, strict=True):
        goal = other.float()
        distance = (mine.float() - goal).square().sum(dim=-1) / goal.square().sum(dim=-1).clamp(min=1e-6)
        total = total + (distance * share).sum()
    return total / len(own)


def collate_placed(encoded: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Return a batch as `collate` does, with the places of its texts where they have one."""
    batch = collate([{name: each[name] for name in each if name != PLACE} for each in encoded], pad_token_id)
    if PLACE in encoded[0]:
        batch[PLACE] = torch.tensor([each[PLACE] for each in encoded])
    return batch
