"""Distillation: a smaller student learns to answer as its teacher does, the epoch kept that is best.

It begins as a copy of the teacher with some of its layers left out (`training.fit.layers`), or with none of them
(`training.fit.static`), and learns from texts with and without a label what the teacher answers and what its layers
give (`training.fit.lesson`).
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from pretrained.collate import LABELS, collate
from repository.console import Console
from repository.manifest import ProblemType
from repository.strict_json import strict_json
from training.data.examples import Target
from training.data.load import SplitName, TrainingData
from training.encoders.base_model import BaseModel
from training.fit.checkpoints import Run
from training.fit.layer_choice import Choice, choose_layers, train_briefly
from training.fit.layers import LayersError, candidates, check_outputs, find_layers, shortened
from training.fit.lesson import PLACE, Lesson, Texts, soft_loss
from training.fit.predict import DivergedError, encode, logits_of
from training.fit.static import check_vectors, static_student, token_vectors, used_tokens
from training.fit.static_student import StaticStudent
from training.fit.student import Student
from training.fit.tasks import Objective
from training.fit.train import EVALUATED, TrainedModel, trained_by
from training.fit.trainer import half_for
from training.settings import DistillSettings

# The way that was chosen, in the folder of a run: one that goes on keeps it.
_CHOICE_FILE = "layers.json"
# Answered between two moves of the bar.
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Teacher:
    """A checkpoint that is learned from."""

    name: str
    """For people: a folder's name, or a hub id."""
    model: Any
    """In evaluation mode and float32, as the export loads it."""
    base: BaseModel
    """What is known of it beside its weights."""


@dataclass(frozen=True)
class Distilled:
    """A student, and what became of its teaching."""

    trained: TrainedModel
    choice: Choice
    layers: int
    """How many the teacher has."""
    answers: dict[SplitName, list[Target]]
    """The teacher's, to the validation and the test texts."""


NO_LAYERS = Choice("static embeddings", (), [])
"""What a student begins with that takes no layer of its teacher."""


def distil(
    data: TrainingData,
    teacher: Teacher,
    others: Sequence[str],
    settings: DistillSettings,
    run: Run,
    console: Console,
) -> Distilled:
    """Teach a student on the train split of `data` and on other texts, and let it answer validation and test.

    Args:
        data: read and split as it was for the teacher, with the teacher's labels in their order.
        teacher: read; it stays as it is.
        others: texts whose labels nobody knows.
        settings: of this run.
        run: takes the checkpoints, and names the one to go on from.
        console: shows the epochs.

    Raises:
        LayersError: the teacher's layers can't be cut out.
        DivergedError: the loss or an answer is no number any more.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a last checkpoint.
    """
    school = _School(data, teacher, others, settings, console)
    choice = _kept_choice(run) if settings.layers else NO_LAYERS
    if choice is None:
        choice = choose_layers(candidates(len(school.layers), settings.layers), school.loss_after, console)
        _keep_choice(run, choice)
    # Not within `trained_by`: the teacher may be asked for minutes, and there Ctrl-C waits for a step to end.
    begin = school.beginning(choice.kept)
    trained = trained_by(partial(school.student, begin, choice.kept, run), run)
    return Distilled(trained, choice, teacher.model.config.num_hidden_layers, school.answers)


class _School:
    """What is the same for each student of a run."""

    def __init__(
        self,
        data: TrainingData,
        teacher: Teacher,
        others: Sequence[str],
        settings: DistillSettings,
        console: Console,
    ) -> None:
        """Take what `distil` was given, and ask the teacher."""
        self._data, self._teacher, self._settings, self._console = data, teacher, settings, console
        self.layers = check_layers(teacher, settings.layers)
        self._objective = Objective(data)
        self._objective.keep_what_the_head_can(teacher.model)
        self._texts = _texts(data, teacher, others, self._objective, settings, console)
        self._held_out = {name: [example.text for example in data.splits[name]] for name in EVALUATED}
        limit = teacher.base.sequence_limit
        logits = {name: _logits(teacher, texts, limit, console) for name, texts in self._held_out.items()}
        self._wanted = self._objective.scaled(logits["validation"])
        self.answers = {name: self._objective.answers(logits[name].numpy()) for name in EVALUATED}

    def loss_after(self, kept: Sequence[int], advance: Callable[[], object]) -> float:
        """Return how far a student's validation answers are from the teacher's after a few steps (mean soft loss)."""
        student = shortened(self._teacher.name, self._teacher.model, kept)
        self._objective.scale(student)
        train_briefly(student, self._lesson(kept), self._settings, advance)
        base, texts = self._teacher.base, self._held_out["validation"]
        try:
            answered = torch.tensor(logits_of(student, base.tokenizer, texts, base.sequence_limit))
        except DivergedError:
            return math.inf
        return float(soft_loss(answered, self._wanted, self._data.task, self._settings.temperature)) / len(texts)

    def beginning(self, kept: Sequence[int]) -> Callable[[], Any]:
        """Return what makes the model that a student begins with; one without layers takes the teacher's answers."""
        return partial(shortened, self._teacher.name, self._teacher.model, kept) if kept else self._static()

    def student(self, begin: Callable[[], Any], kept: Sequence[int], run: Run) -> Student:
        """Return a student at its beginning."""
        return (Student if kept else StaticStudent)(
            begin,  # `Learner` scales it
            self._lesson(kept),
            self.answers["validation"],
            self._data,
            self._teacher.base,
            self._settings,
            run.trainer_folder,
            self._console,
        )

    def _static(self) -> Callable[[], Any]:
        """Ask the teacher about its tokens; returns what makes a student of the answers."""
        name, model, base = self._teacher.name, self._teacher.model, self._teacher.base
        used = used_tokens(self._texts.encoded)
        half = half_for(model, encode(base.tokenizer, ["a"], 8)[0], self._settings.mixed_precision)
        count = model.get_input_embeddings().weight.shape[0]
        with self._console.progress("asking about tokens", count, remaining=True, transient=True) as advance:
            vectors = token_vectors(name, model, base.tokenizer, half, advance)
        return partial(static_student, model.config, base, vectors, used, self._settings.seed)

    def _lesson(self, kept: Sequence[int]) -> Lesson:
        return Lesson(self._teacher.model, self.layers, kept, self._texts, self._objective, self._settings)


def check_layers(teacher: Teacher, wanted: int) -> Any:
    """Return a teacher's layers; none for a student that wants none.

    Raises:
        LayersError: they can't be cut out, or are no more than is wanted; or there are no vectors of tokens.
    """
    if not wanted:
        check_vectors(teacher.name, teacher.model, teacher.base.tokenizer)
        return []
    _, layers = find_layers(teacher.name, teacher.model)
    if wanted >= len(layers):
        raise LayersError(f"--layers {wanted}: {teacher.name} has {len(layers)} layers; a student has fewer.")
    pad = teacher.model.config.pad_token_id
    check_outputs(teacher.name, teacher.model, layers, collate(encode(teacher.base.tokenizer, ["a"], 8), pad))
    return layers


def _texts(
    data: TrainingData,
    teacher: Teacher,
    others: Sequence[str],
    objective: Objective,
    settings: DistillSettings,
    console: Console,
) -> Texts:
    """The training texts and the others, and what the teacher answers to them."""
    train = data.splits["train"]
    texts = [*(example.text for example in train), *others]
    limit = min(settings.max_length, teacher.base.longest)
    targets = objective.encoded(train)
    unknown = [0.0] * len(data.labels) if data.task is ProblemType.MULTI_LABEL else type(targets[0])(0)
    targets += [unknown] * len(others)
    encoded = encode(teacher.base.tokenizer, texts, limit)
    return Texts(
        [{**each, LABELS: targets[place], PLACE: place} for place, each in enumerate(encoded)],
        torch.arange(len(texts)) < len(train),
        # What the layers give takes the whole teacher for each batch; its answers then come with it.
        None if settings.hidden_weight else objective.scaled(_logits(teacher, texts, limit, console)),
    )


def _logits(teacher: Teacher, texts: Sequence[str], limit: int, console: Console) -> torch.Tensor:
    teacher.model.to("cuda" if torch.cuda.is_available() else "cpu")
    found = []
    with console.progress("asking the teacher", len(texts), remaining=True, transient=True) as advance:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            found.append(logits_of(teacher.model, teacher.base.tokenizer, part, limit))
            advance(len(part))
    return torch.tensor(np.concatenate(found))


def _kept_choice(run: Run) -> Choice | None:
    """What a run that goes on had chosen."""
    path = run.folder / _CHOICE_FILE
    if run.checkpoint is None or not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return Choice(found["name"], tuple(found["kept"]), found["tried"])


def _keep_choice(run: Run, choice: Choice) -> None:
    content = {"name": choice.name, "kept": choice.kept, "tried": choice.tried}
    (run.folder / _CHOICE_FILE).write_text(strict_json(content), encoding="utf-8")
