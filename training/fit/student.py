"""A student in training: a shorter copy of its teacher under the Trainer, with the loss of its lesson."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repository.console import Console
from repository.manifest import ProblemType
from training.data.examples import Target
from training.data.load import TrainingData
from training.encoders.base_model import BaseModel
from training.figures.scores import CHOSEN_BY, is_right
from training.fit.layers import find_layers
from training.fit.lesson import PLACE, Lesson, collate_placed
from training.fit.train import Learner
from training.fit.trainer import CHOSEN, ClassifierTrainer
from training.settings import DistillSettings

# Of a share, so that it decides between epochs whose figures are the same, and between no others.
_LITTLE = 1e-6


class StudentTrainer(ClassifierTrainer):
    """The Trainer with a lesson's loss on what it trains on, and the usual one on what it validates on."""

    def __init__(self, lesson: Lesson, layers: Sequence[nn.Module], **parts: Any) -> None:
        super().__init__(**parts)
        self._lesson = lesson
        self._layers = layers

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if PLACE not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        count = len(inputs[PLACE]) if num_items_in_batch is None else num_items_in_batch
        half = torch.bfloat16 if self.args.bf16 else torch.float16 if self.args.fp16 else None
        total, outputs = self._lesson.of_batch(model, self._layers, inputs, half)
        return (total / count, outputs) if return_outputs else total / count


class Student(Learner):
    """A student on its way from the teacher's layers to what is saved."""

    trainer_type: type[StudentTrainer] = StudentTrainer

    def __init__(
        self,
        model: Callable[[], Any],
        lesson: Lesson,
        answers: Sequence[Target],
        data: TrainingData,
        base: BaseModel,
        settings: DistillSettings,
        folder: Path,
        console: Console,
    ) -> None:
        """Begin; see `training.fit.train.Learner`.

        Args:
            model: makes the model that it begins with.
            lesson: of this student.
            answers: the teacher's, to the validation texts.
            data: read and split.
            base: of the teacher.
            settings: of this run.
            folder: takes the checkpoints.
            console: shows the epochs.
        """
        self._begin = model
        self._lesson = lesson
        self._answers = answers
        super().__init__(data, base, settings, folder, console)

    def begin(self) -> Any:
        """Return the shortened copy."""
        return self._begin()

    def labels_of_head(self) -> list[str]:
        """Return all of them."""
        return self.data.labels

    def train_texts(self, max_length: int) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the lesson's texts."""
        return self._lesson.texts.encoded

    def trainer_of(self, **parts: Any) -> ClassifierTrainer:
        """Return a Trainer with the lesson's loss, which chooses the best epoch by `figures`."""
        parts["args"].remove_unused_columns = False  # a text's place is no input of the model
        parts["args"].metric_for_best_model = CHOSEN
        keywords = parts["data_collator"].keywords
        parts["data_collator"] = lambda encoded: collate_placed(encoded, **keywords)
        return self.trainer_type(self._lesson, self.watched_layers(), **parts)

    def watched_layers(self) -> Sequence[nn.Module]:
        """Return the layers that are to give what the teacher's do."""
        return find_layers("the student", self.model)[1]

    def figures(self, prediction: Any) -> dict[str, float]:
        """Return the figures of validation, the agreement with the teacher, and what the best epoch is chosen by."""
        found = super().figures(prediction)
        chosen = found[CHOSEN_BY[self.data.task][0]]
        if self.data.task is ProblemType.REGRESSION:
            return {**found, CHOSEN: chosen}
        answers = self.objective.answers(prediction.predictions, scaled=True)
        agreement = share_alike(self._answers, answers)
        return {**found, "agreement": agreement, CHOSEN: chosen + _LITTLE * agreement}


def share_alike(one: Sequence[Target], other: Sequence[Target]) -> float:
    """Return the share of texts to which two models answer the same, in 0 to 1."""
    return sum(is_right(*pair) for pair in zip(one, other, strict=True)) / len(one)
