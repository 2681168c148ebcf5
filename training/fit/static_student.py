"""A student of static embeddings in training: its vectors faster than the rest, its texts with gaps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pretrained.inputs import ATTENTION_MASK
from training.fit.lesson import PLACE
from training.fit.optimizer import optimizer
from training.fit.static import TOKEN_RATE, leave_out_tokens
from training.fit.student import Student, StudentTrainer


class StaticTrainer(StudentTrainer):
    """The Trainer of a student, which leaves tokens out of the texts that it trains on."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if PLACE in inputs:
            # Here, not where batches are made: that is ahead of the steps, and a run that goes on would draw others.
            inputs[ATTENTION_MASK] = leave_out_tokens(inputs[ATTENTION_MASK])
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)


class StaticStudent(Student):
    """A student on its way from vectors of tokens to what is saved (`training.fit.static`)."""

    trainer_type = StaticTrainer

    def labels_of_head(self) -> list[str]:
        """Return none: the classifier is a new one."""
        return []

    def freeze(self) -> None:
        """Leave the positions out of training: zero, so that a token means the same anywhere."""
        self.model.bert.embeddings.position_embeddings.weight.requires_grad = False

    def optimizer(self, head_rate: float) -> torch.optim.Optimizer:  # noqa: ARG002
        """Return AdamW, at the same rate for all but the vectors."""
        return optimizer(self.model, self.settings.learning_rate, head_rate=1, token_rate=TOKEN_RATE)

    def watched_layers(self) -> Sequence[nn.Module]:
        """Return none: no layer of the teacher's stands behind its own."""
        return []

    def finished_model(self) -> Any:
        """Return the model as it is saved: with one table of all tokens."""
        model = super().finished_model()
        embeddings = model.bert.embeddings
        embeddings.word_embeddings = embeddings.word_embeddings.whole(model.config.pad_token_id)
        return model
