"""Few examples of each class: texts of a class are pulled together first, and then the classifier is fitted to them.

From 8 texts of each of 7 classes come 1,540 pairs that say "the same" or "not the same", more to learn from than 56
labels (SetFit: Tunstall et al., 2022). Here each batch's pairs are all compared at once (supervised contrastive loss:
Khosla et al., 2020), on the vector that the model's own classifier reads; a logistic regression on these vectors
becomes the weights of that classifier, so that what is saved is an ordinary checkpoint.
"""

import random
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from transformers import get_linear_schedule_with_warmup, set_seed

from pretrained.collate import collate
from repository.console import Console
from training.data.load import TrainingData
from training.encoders.base_model import BaseModel
from training.figures.scores import scores
from training.fit.epoch_table import line
from training.fit.optimizer import freeze_lower_layers, optimizer
from training.fit.predict import DivergedError, encode, logits_of
from training.fit.tasks import Objective
from training.fit.train import TrainedModel, answers_to, load_classifier
from training.fit.trainer import WARMUP_SHARE, half_for
from training.fit.warm_start import last_linear
from training.settings import Settings

# Passes over the texts, each in batches that hold all classes. SetFit reads each text 80 times, in pairs; here a batch
# compares each of its texts with all others. Neither number was tuned.
PASSES = 10
_TEMPERATURE = 0.1
_BATCH = 32


def tune_few_shot(data: TrainingData, base: BaseModel, settings: Settings, console: Console) -> TrainedModel:
    """Fine-tune `base` on few examples, as `fine_tune` does on many; of `settings` rate and seed count.

    Args:
        data: of one label a text, read and split; validation chooses nothing, and is answered as test is.
        base: read and checked.
        settings: of this run.
        console: shows a bar and the figures.

    Raises:
        BaseModelError: the weights can't be loaded.
        DivergedError: the loss or an answer is no number any more.
    """
    set_seed(settings.seed)
    torch.set_flush_denormal(True)
    objective = Objective(data)
    model = load_classifier(base, data.labels, data.task)
    freeze_lower_layers(model, settings.frozen_share)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    texts = [example.text for example in data.splits["train"]]
    classes = objective.encoded(data.splits["train"])
    start = perf_counter()
    name, head = last_linear(model, len(data.labels))
    _replace(model, name, torch.nn.Identity())  # the model answers the vectors that its classifier reads
    loss = _pull_together(model, base, texts, classes, settings, console)
    vectors = logits_of(model, base.tokenizer, texts, base.sequence_limit, width=head.in_features)
    _replace(model, name, head)
    _fit(head, vectors, classes, settings)
    seconds = perf_counter() - start
    logits, predictions = answers_to(data, model, base, objective)
    truth = [example.target for example in data.splits["validation"]]
    figures = scores(truth, predictions["validation"], data.task)
    epoch = {"epoch": float(PASSES), "train_loss": loss, **figures}
    epochs = [{key: round(value, 4) for key, value in epoch.items()}]
    return TrainedModel(model, base.tokenizer, logits, predictions, epochs, seconds)


def _replace(model: Any, name: str, module: torch.nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)


def _pull_together(
    model: Any, base: BaseModel, texts: Sequence[str], classes: Sequence[int], settings: Settings, console: Console
) -> float:
    """Train until texts of a class have vectors alike; return the mean loss of the last pass."""
    encoded = encode(base.tokenizer, texts, min(settings.max_length, base.longest))
    dealer = random.Random(settings.seed)
    passes = [list(_batches(classes, dealer)) for _ in range(PASSES)]
    steps = sum(map(len, passes))
    adam = optimizer(model, settings.learning_rate, head_rate=1)
    schedule = get_linear_schedule_with_warmup(adam, int(WARMUP_SHARE * steps), steps)
    half = half_for(model, encoded[0], settings.mixed_precision)
    columns = ["pass", "contrastive loss", "seconds"]
    console.print(line(columns, columns))
    losses: list[float] = []
    with console.progress("pulling classes together", steps, remaining=True, transient=True) as advance:
        for number, batches in enumerate(passes, 1):
            losses, start = [], perf_counter()
            model.train()
            for places in batches:
                batch = collate([encoded[place] for place in places], model.config.pad_token_id)
                batch = {key: tensor.to(model.device) for key, tensor in batch.items()}
                with torch.autocast(model.device.type, dtype=half, enabled=half is not None):
                    vectors = model(**batch).logits
                loss = contrastive_loss(vectors.float(), torch.tensor([classes[place] for place in places]))
                if not torch.isfinite(loss):
                    raise DivergedError(f"the loss is {float(loss):.3g} in pass {number}")
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                adam.step()
                schedule.step()
                adam.zero_grad()
                losses.append(float(loss.detach()))
                advance(1, f"pass {number} of {PASSES}")
            console.print(line(columns, [str(number), f"{np.mean(losses):.3f}", f"{perf_counter() - start:.0f}"]))
    return float(np.mean(losses))


def contrastive_loss(vectors: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the supervised contrastive loss of vectors `[batch, hidden]` of these classes `[batch]`, by cosine.

    Each text is to be nearer to those of its class than to all others (Khosla et al., 2020, equation 2); texts alone
    in their class have no part in it.
    """
    classes = classes.to(vectors.device)
    units = torch.nn.functional.normalize(vectors, dim=-1)
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)
    near = (units @ units.T / _TEMPERATURE).masked_fill(itself, -torch.inf)
    same = (classes[:, None] == classes[None, :]) & ~itself
    shares = near - near.logsumexp(dim=1, keepdim=True)
    counts = same.sum(dim=1)
    of_each = -shares.masked_fill(~same, 0.0).sum(dim=1)[counts > 0] / counts[counts > 0]
    return of_each.mean() if len(of_each) else vectors.sum() * 0.0


def _batches(classes: Sequence[int], dealer: random.Random) -> Iterator[list[int]]:
    """Deal all texts to batches, so that a batch has as many of each class as the next."""
    of_class: dict[int, list[int]] = {}
    for place, number in enumerate(classes):
        of_class.setdefault(number, []).append(place)
    ordered: list[tuple[float, int]] = []
    for members in of_class.values():
        dealer.shuffle(members)
        ordered += [((rank + dealer.random()) / len(members), place) for rank, place in enumerate(members)]
    places = [place for _, place in sorted(ordered)]
    count = max(1, round(len(places) / _BATCH))
    for number in range(count):
        yield places[len(places) * number // count : len(places) * (number + 1) // count]


def _fit(head: torch.nn.Linear, vectors: Any, classes: Sequence[int], settings: Settings) -> None:
    """Let a classifier give the logits of a logistic regression on vectors `[texts, hidden]`."""
    mean = vectors.mean(axis=0) if head.bias is not None else np.zeros(vectors.shape[1])
    spread = float(vectors.std()) or 1.0
    weights = None if settings.class_weights == "none" else settings.class_weights
    found = LogisticRegression(
        max_iter=1000, class_weight=weights, fit_intercept=head.bias is not None, random_state=settings.seed
    ).fit((vectors - mean) / spread, classes)
    weight, bias = found.coef_ / spread, np.broadcast_to(found.intercept_, found.coef_.shape[:1])
    if len(weight) == 1:  # of two classes it gives the difference
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weight))
        if head.bias is not None:
            head.bias.copy_(torch.tensor(bias - weight @ mean))
