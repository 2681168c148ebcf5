"""Which of a teacher's layers is a student to begin with? Each way is tried for a few steps, on the same texts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from transformers import get_linear_schedule_with_warmup, set_seed

from pretrained.inputs import INPUT_IDS
from repository.console import Console
from training.fit.batches import NearInLength
from training.fit.epoch_table import line
from training.fit.layers import find_layers
from training.fit.lesson import Lesson, collate_placed
from training.fit.optimizer import freeze_lower_layers, optimizer
from training.fit.trainer import WARMUP_SHARE, half_for
from training.settings import DistillSettings

# Of a trial: fewer leave the order of the ways to chance, more cost as much as an epoch for each.
STEPS = 40


@dataclass(frozen=True)
class Choice:
    """Which layers a student begins with."""

    name: str
    """In words."""
    kept: tuple[int, ...]
    """Layers of the teacher, counted from 0."""
    tried: list[dict[str, Any]]
    """Of each way its `name`, its `layers` and its `loss`: how far its answers to the validation texts stayed from the
    teacher's (`training.fit.lesson.soft_loss`, mean over the texts); None where it is no number, or nothing was tried.
    """


def choose_layers(
    ways: dict[str, tuple[int, ...]],
    loss_after: Callable[[Sequence[int], Callable[[], object]], float],
    console: Console,
) -> Choice:
    """Try each way, print a line of a table for it, and return the one that came nearest to the teacher.

    Args:
        ways: names and layers.
        loss_after: tries a student with these layers (`train_briefly`) and returns its loss on validation; it calls
            what it is given after each step.
        console: shows a bar and the table.
    """
    if len(ways) == 1:
        name, kept = next(iter(ways.items()))
        return Choice(name, kept, [{"name": name, "layers": list(kept), "loss": None}])
    columns = ["loss", "seconds"]
    tried: list[dict[str, Any]] = []
    with console.progress("trying layers", STEPS * len(ways), remaining=True, transient=True) as advance:
        console.print(f"{line(columns, columns)}  layers kept")
        for name, kept in ways.items():
            start = perf_counter()
            loss = loss_after(kept, partial(advance, 1, f"trying {name}"))
            tried.append({"name": name, "layers": list(kept), "loss": round(loss, 4) if math.isfinite(loss) else None})
            cells = line(columns, [f"{loss:.3f}", f"{perf_counter() - start:.0f}"])
            console.print(f"{cells}  {name}: {', '.join(map(str, kept))}")
    best = min(tried, key=lambda each: math.inf if each["loss"] is None else each["loss"])
    return Choice(best["name"], tuple(best["layers"]), tried)


def train_briefly(student: Any, lesson: Lesson, settings: DistillSettings, advance: Callable[[], object]) -> None:
    """Train a student for a few steps, on the same texts each time.

    Args:
        student: on the processor, as it was cut out.
        lesson: of this student.
        settings: of the run.
        advance: is called after each step.
    """
    set_seed(settings.seed)
    torch.set_flush_denormal(True)  # as training itself does
    encoded, size = lesson.texts.encoded, settings.batch_size
    sample = {name: value for name, value in encoded[0].items() if isinstance(value, list)}
    half = half_for(student, sample, settings.mixed_precision)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    student.to(device).train()
    freeze_lower_layers(student, 0.0)
    order = list(NearInLength([len(each[INPUT_IDS]) for each in encoded], size, settings.seed))[: STEPS * size]
    _, layers = find_layers("the student", student)
    adam = optimizer(student, settings.learning_rate, head_rate=1)
    schedule = get_linear_schedule_with_warmup(adam, int(WARMUP_SHARE * STEPS), STEPS)
    for start in range(0, len(order), size):
        batch = collate_placed([encoded[place] for place in order[start : start + size]], student.config.pad_token_id)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device, dtype=half, enabled=half is not None):
            loss, _ = lesson.of_batch(student, layers, batch, half)
        (loss / min(size, len(order) - start)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        adam.step()
        schedule.step()
        adam.zero_grad()
        advance()
