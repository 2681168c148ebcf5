"""Does every length and batch size answer as PyTorch does: alone, batched, padded and beside long neighbours?

Real sentences are mostly short, so that they say little of the longest sequences and of full batches. Here the shapes
are the subject: a ladder of lengths up to the model's limit, filled with real text and with random token ids.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.batches import fits
from export.checkpoint import Checkpoint
from export.parity import Step, Tolerance, decided, open_session, same_answer
from export.report import Cell, Placement, Source, Sweep
from repository.config import ModelConfig
from repository.inference import Float32Array, Int64Array, pad_batch, scores
from repository.manifest import MODEL_FILE, ProblemType

# Next to powers of two lie the lengths at which kernels change to another path.
LADDER = (1, 2, 3, 8, 13, 16, 17, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
BATCHES = (2, 7, ModelConfig.max_batch_size)
# Different texts of one length, half of them random; past LONG_TOKENS two, since a token costs PyTorch the same there.
TEXTS, TEXTS_OF_LONG, LONG_TOKENS = 8, 2, 128
# A limit past this many tokens waits its turn: PyTorch may need minutes for it.
AFFORDABLE = 1024
# For each precision, and as much for PyTorch. MiniLM needs about half of it on two cores.
BUDGET_S = 20.0
# Where PyTorch's answer is this far (in probability) from being another one, no number format may change it.
SURE = 0.5


@dataclass(frozen=True)
class SweepText:
    """A text of one length with PyTorch's logits `[labels]`."""

    ids: list[int]
    source: Source
    logits: Float32Array


@dataclass(frozen=True)
class SweepTexts:
    """The texts of each length, shortest first; what PyTorch was not asked is in `skipped`."""

    by_length: dict[int, list[SweepText]]
    skipped: list[str]


@dataclass(frozen=True)
class _Call:
    placement: Placement
    texts: list[SweepText]
    padded_length: int

    @property
    def name(self) -> str:
        lengths = sorted({len(text.ids) for text in self.texts})
        which = f"length {lengths[0]}" if len(lengths) == 1 else f"lengths {lengths[0]} to {lengths[-1]}"
        return f"{which}, batch {len(self.texts)}, {self.placement.value}"


def ladder(max_length: int) -> list[int]:
    """Lengths from 1 to the model's limit, the limit included."""
    return sorted({length for length in LADDER if length < max_length} | {max_length})


def ask_pytorch(checkpoint: Checkpoint, sentences: Sequence[str], step: Step) -> SweepTexts:
    """PyTorch's answers to texts of each length, as long as the time lasts: the limit first, where most goes wrong."""
    make = _text_maker(checkpoint, sentences)
    by_length: dict[int, list[SweepText]] = {}
    skipped = []
    budget = _Budget()
    lengths = sorted(ladder(checkpoint.max_length), key=lambda n: (n != min(checkpoint.max_length, AFFORDABLE), n))
    with step("Asking PyTorch at each length", len(lengths)) as advance:
        for length in lengths:
            count = TEXTS if length <= LONG_TOKENS else TEXTS_OF_LONG
            texts = [make(length, index) for index in range(count)]
            advance(1)
            if not budget.allows(count * length):
                skipped.append(f"length {length}: no time to ask PyTorch")
                continue
            ids = torch.tensor([ids for ids, _ in texts])
            try:
                with torch.inference_mode():
                    logits = budget.run(count * length, partial(_pytorch_logits, checkpoint, ids))
            except (RuntimeError, ValueError, IndexError):
                # Shorter than an empty sentence, so that the token that an architecture looks for may be missing.
                skipped.append(f"length {length}: PyTorch itself does not take it")
                continue
            by_length[length] = [SweepText(ids, source, row) for (ids, source), row in zip(texts, logits, strict=True)]
    return SweepTexts(dict(sorted(by_length.items())), skipped)


def sweep(folder: Path, checkpoint: Checkpoint, texts: SweepTexts, step: Step) -> Sweep:
    """Ask the graph in `folder` in every placement for as long as the time lasts, and compare with PyTorch."""
    session = open_session(folder / MODEL_FILE)
    calls = sorted(_calls(texts.by_length, checkpoint.max_length), key=_urgency)
    skipped = list(texts.skipped)
    measured: dict[tuple[int, int, Placement, Source], list[tuple[SweepText, Float32Array]]] = {}
    budget = _Budget()
    with step(f"Sweeping lengths and batches of {folder.name}", len(calls)) as advance:
        for call in calls:
            advance(1)
            size = len(call.texts) * call.padded_length
            if not fits(len(call.texts), call.padded_length):
                skipped.append(f"{call.name}: more memory than is asked for here")
            elif not budget.allows(size):
                skipped.append(f"{call.name}: no time")
            else:
                inputs = pad_batch([text.ids for text in call.texts], checkpoint.pad_token_id, call.padded_length)
                logits = budget.run(size, partial(_graph_logits, session, inputs))
                for text, row in zip(call.texts, logits, strict=True):
                    key = (len(text.ids), len(call.texts), call.placement, text.source)
                    measured.setdefault(key, []).append((text, row))
    cells = [_cell(*key, found, checkpoint.problem_type) for key, found in sorted(measured.items())]
    asked = [text.logits for found in texts.by_length.values() for text in found]
    spread = float(np.ptp(np.stack(asked), axis=0).max()) if asked else 0.0
    return Sweep(budget_s=BUDGET_S, lengths=sorted(texts.by_length), logit_range=spread, cells=cells, skipped=skipped)


def sweep_violations(found: Sweep, tolerance: Tolerance) -> list[str]:
    """What is outside the tolerance, with the shape at which it is worst."""
    reasons = []
    if broken := [cell for cell in found.cells if cell.max_logit_difference is None]:
        reasons.append(f"logits are no finite numbers ({_where(broken[0])})")
    # A format without a bound on single logits has one here all the same: what is off by more than a good part of what
    # one text's logits are from another's is no rounding, but a shape that the graph takes wrongly.
    coarse = max(0.5, 0.5 * found.logit_range)
    given = {Source.REAL: tolerance.max_logit_difference, Source.RANDOM: tolerance.random_logit_difference}
    bounds = {source: coarse if limit is None else limit for source, limit in given.items()}
    for source, limit in bounds.items():
        finite = [cell for cell in found.cells if cell.source is source and cell.max_logit_difference is not None]
        worst = max(finite, key=lambda cell: cell.max_logit_difference or 0.0, default=None)
        if worst is not None and (worst.max_logit_difference or 0.0) > limit:
            reasons.append(f"logit difference {worst.max_logit_difference:.2g} ({_where(worst)}), {limit:g} allowed")
    if flipped := [cell for cell in found.cells if cell.sure_label_flips]:
        reasons.append(f"labels change on which PyTorch is sure ({_where(flipped[0])})")
    return reasons


class _Budget:
    """Whether the next call still fits into the time, judged by the least that a token has cost so far.

    The least, because a small call, or one that another program held up, says nothing of what a large one will take.
    """

    def __init__(self) -> None:
        self._end = time.monotonic() + BUDGET_S
        self._token_s = math.inf

    def allows(self, tokens: int) -> bool:
        expected_s = tokens * self._token_s if self._token_s < math.inf else 0.0
        return time.monotonic() + expected_s <= self._end

    def run(self, tokens: int, ask: Callable[[], Any]) -> Float32Array:
        began = time.monotonic()
        answer = ask()
        self._token_s = min(self._token_s, (time.monotonic() - began) / tokens)
        return np.asarray(answer, dtype=np.float32)


def _text_maker(checkpoint: Checkpoint, sentences: Sequence[str]) -> Callable[[int, int], tuple[list[int], Source]]:
    """Token ids of a length, framed as the tokenizer frames a sentence; even numbers are real text, odd ones random."""
    tokenizer = checkpoint.tokenizer
    chance = np.random.default_rng(0)
    special = set(tokenizer.all_special_ids)
    size = min(len(tokenizer), getattr(checkpoint.model.config, "vocab_size", len(tokenizer)))
    plain = np.array([token for token in range(size) if token not in special] or [0])

    def make(length: int, index: int) -> tuple[list[int], Source]:
        start = index * len(sentences) // TEXTS
        text = _joined([*sentences[start:], *sentences[:start]], 16 * length)
        encoded = tokenizer(text, truncation=True, max_length=checkpoint.max_length, return_special_tokens_mask=True)
        ids, mask = list(map(int, encoded["input_ids"])), list(encoded["special_tokens_mask"])
        first = mask.index(0) if 0 in mask else len(ids)
        last = len(ids) - (mask[::-1].index(0) if 0 in mask else 0)
        head, body, tail = ids[:first], ids[first:last] or [int(plain[0])], ids[last:]
        room = max(length - len(head) - len(tail), 0)
        if index % 2:
            body = chance.choice(plain, size=room).tolist()
        repeated = body * -(-room // max(len(body), 1))
        return [*head, *repeated[:room], *tail][:length], Source.RANDOM if index % 2 else Source.REAL

    return make


def _joined(sentences: Iterable[str], characters: int) -> str:
    """Whole sentences one after the other until there are enough characters."""
    taken, size = [], 0
    for sentence in sentences:
        taken.append(sentence)
        size += len(sentence) + 1
        if size >= characters:
            break
    return " ".join(taken)


def _calls(by_length: dict[int, list[SweepText]], max_length: int) -> Iterable[_Call]:
    for length, texts in by_length.items():
        for text in texts:
            yield _Call(Placement.ALONE, [text], length)
        for batch in BATCHES:
            yield _Call(Placement.BATCHED, [texts[i % len(texts)] for i in range(batch)], length)
        if length < max_length:
            yield _Call(Placement.PADDED, texts, min(max_length, max(16, 4 * length)))
    # One of each length in one batch: all but the last have neighbours that are longer.
    together = [texts[0] for texts in by_length.values()]
    while together and not fits(len(together), len(together[-1].ids)):
        together.pop()
    if together:
        yield _Call(Placement.LONG_NEIGHBOURS, together, len(together[-1].ids))


def _urgency(call: _Call) -> tuple[bool, int]:
    """Cheap calls first; full batches last, since they cost most and say least where the time is short."""
    return len(call.texts) == BATCHES[-1], len(call.texts) * call.padded_length


def _pytorch_logits(checkpoint: Checkpoint, ids: torch.Tensor) -> Any:
    return checkpoint.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()


def _graph_logits(session: Any, inputs: dict[str, Int64Array]) -> Any:
    return session.run(None, inputs)[0]


def _cell(
    length: int,
    batch: int,
    placement: Placement,
    source: Source,
    found: Sequence[tuple[SweepText, Float32Array]],
    problem_type: ProblemType,
) -> Cell:
    logits = np.stack([row for _, row in found])
    expected = np.stack([text.logits for text, _ in found])
    finite = bool(np.isfinite(logits).all())
    same = same_answer(logits, expected, problem_type)
    # A value has no label; and random ids are not what a model is sure of for a reason.
    judged = source is Source.REAL and problem_type is not ProblemType.REGRESSION
    sure = decided(expected, problem_type, SURE) if judged else np.zeros(len(found), dtype=bool)
    probabilities = np.abs(scores(logits, problem_type) - scores(expected, problem_type)) if finite else None
    return Cell(
        length=length,
        batch=batch,
        placement=placement,
        source=source,
        texts=len({tuple(text.ids) for text, _ in found}),
        max_logit_difference=float(np.abs(logits - expected).max()) if finite else None,
        max_probability_difference=float(probabilities.max()) if probabilities is not None else None,
        label_agreement=float(same.mean()),
        sure_label_flips=int((sure & ~same).sum()),
    )


def _where(cell: Cell) -> str:
    return f"length {cell.length}, batch {cell.batch}, {cell.placement.value}, {cell.source.value}"
