"""Does every length and batch size answer as PyTorch does: alone, batched, padded and beside long neighbours?

Real sentences are mostly short, so that they say little of the longest sequences and of full batches. Here the shapes
are the subject: a ladder of lengths up to the model's limit, filled with real text and with random token ids.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export import Step
from export.checkpoint.load import Checkpoint
from export.parity.agreement import decided, same_answer
from export.parity.cost import Cost, cost_of
from export.parity.measure import open_session
from export.parity.report import Cell, Placement, Source, Sweep
from pretrained.batches import fits
from repository.config import ModelConfig
from repository.inference import Float32Array, Int64Array, pad_batch, scores
from repository.manifest import MODEL_FILE, ProblemType
from repository.tolerances import Tolerance

# Next to powers of two lie the lengths at which kernels change to another path.
LADDER = (1, 2, 3, 8, 13, 16, 17, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
BATCHES = (2, 7, ModelConfig.max_batch_size)
# Different texts of lengths up to so many tokens, half of them random: a token costs PyTorch the same in all of them.
TEXTS = 8
TEXTS_UP_TO = {128: TEXTS, 1024: 2}
# Operations for each precision, and as many for PyTorch: 10 to 40 s on two cores. MiniLM leaves out 64 texts of 512
# tokens, BERT base most full batches, XLM-R large most batches of long texts.
BUDGET_FLOP = 2e12
# No single call may take more of it: the limit of a long model would leave nothing for all other lengths.
LARGEST_SHARE = 0.5
# Beyond this share, a text beside long neighbours is the shortest beside the longest alone.
COMPANY_SHARE = 0.2
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
    cost: Cost


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
    """PyTorch's answers to texts of each length, as far as the budget goes.

    The limit comes first, where most goes wrong, or the greatest length that is not too costly.
    """
    make = _text_maker(checkpoint, sentences)
    by_length: dict[int, list[SweepText]] = {}
    skipped = []
    cost = cost_of(checkpoint)
    budget = _Budget()
    lengths = ladder(checkpoint.max_length)
    longest = max((n for n in lengths if budget.allows(cost.of(_text_count(n), n))), default=None)
    lengths.sort(key=lambda length: (length != longest, length))
    with step("Asking PyTorch at each length", len(lengths)) as advance:
        for length in lengths:
            count = _text_count(length)
            texts = [make(length, index) for index in range(count)]
            advance(1)
            if not budget.takes(cost.of(count, length)):
                skipped.append(f"length {length}: too costly to ask PyTorch")
                continue
            ids = torch.tensor([ids for ids, _ in texts])
            try:
                with torch.inference_mode():
                    logits = _pytorch_logits(checkpoint, ids)
            except (RuntimeError, ValueError, IndexError):
                # Shorter than an empty sentence, so that the token that an architecture looks for may be missing.
                skipped.append(f"length {length}: PyTorch itself does not take it")
                continue
            by_length[length] = [SweepText(ids, source, row) for (ids, source), row in zip(texts, logits, strict=True)]
    return SweepTexts(dict(sorted(by_length.items())), skipped, cost)


def sweep(folder: Path, checkpoint: Checkpoint, texts: SweepTexts, step: Step) -> Sweep:
    """Ask the graph in `folder` in every placement, as far as the budget goes, and compare with PyTorch.

    What is asked depends on the model alone, never on how fast the machine is.
    """
    session = open_session(folder / MODEL_FILE)
    calls = sorted(_calls(texts, checkpoint.max_length), key=partial(_urgency, max(texts.by_length, default=0)))
    skipped = list(texts.skipped)
    measured: dict[tuple[int, int, Placement, Source], list[tuple[SweepText, Float32Array]]] = {}
    budget = _Budget()
    with step(f"Sweeping lengths and batches of {folder.name}", len(calls)) as advance:
        for call in calls:
            advance(1)
            if not fits(len(call.texts), call.padded_length):
                skipped.append(f"{call.name}: more memory than is asked for here")
            elif not budget.takes(texts.cost.of(len(call.texts), call.padded_length)):
                skipped.append(f"{call.name}: too costly")
            else:
                inputs = pad_batch([text.ids for text in call.texts], checkpoint.pad_token_id, call.padded_length)
                logits = _graph_logits(session, inputs)
                for text, row in zip(call.texts, logits, strict=True):
                    key = (len(text.ids), len(call.texts), call.placement, text.source)
                    measured.setdefault(key, []).append((text, row))
    cells = [_cell(*key, found, checkpoint.problem_type) for key, found in sorted(measured.items())]
    asked = [text.logits for found in texts.by_length.values() for text in found]
    spread = float(np.ptp(np.stack(asked), axis=0).max()) if asked else 0.0
    return Sweep(
        budget_flop=BUDGET_FLOP, lengths=sorted(texts.by_length), logit_range=spread, cells=cells, skipped=skipped
    )


def sweep_violations(found: Sweep, tolerance: Tolerance, on_sentences: float = 0.0) -> list[str]:
    """What is outside the tolerance, with the shape at which it is worst.

    Args:
        found: what was measured.
        tolerance: of the precision.
        on_sentences: the largest difference of a logit on the sentences that were compared.
    """
    reasons = []
    if broken := [cell for cell in found.cells if cell.max_logit_difference is None]:
        reasons.append(f"logits are no finite numbers ({_where(broken[0])})")
    real, random = tolerance.bounds(found.logit_range, on_sentences)
    for source, limit in ((Source.REAL, real), (Source.RANDOM, random)):
        finite = [cell for cell in found.cells if cell.source is source and cell.max_logit_difference is not None]
        worst = max(finite, key=lambda cell: cell.max_logit_difference or 0.0, default=None)
        if worst is not None and (worst.max_logit_difference or 0.0) > limit:
            reasons.append(f"logit difference {worst.max_logit_difference:.2g} ({_where(worst)}), {limit:.3g} allowed")
    if flipped := [cell for cell in found.cells if cell.sure_label_flips]:
        reasons.append(f"labels change on which PyTorch is sure ({_where(flipped[0])})")
    return reasons


class _Budget:
    """What is left of the operations that may be spent."""

    def __init__(self) -> None:
        self._left = BUDGET_FLOP

    def allows(self, flop: float) -> bool:
        """Whether there are so many left, and they are no more than a single call's share."""
        return flop <= min(self._left, LARGEST_SHARE * BUDGET_FLOP)

    def takes(self, flop: float) -> bool:
        """Spend so many, if that is allowed."""
        if allowed := self.allows(flop):
            self._left -= flop
        return allowed


def _text_count(length: int) -> int:
    return next((count for longest, count in TEXTS_UP_TO.items() if length <= longest), 1)


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


def _calls(texts: SweepTexts, max_length: int) -> Iterable[_Call]:
    for length, found in texts.by_length.items():
        for text in found:
            yield _Call(Placement.ALONE, [text], length)
        for batch in BATCHES:
            yield _Call(Placement.BATCHED, [found[i % len(found)] for i in range(batch)], length)
        if length < max_length:
            yield _Call(Placement.PADDED, found, min(max_length, max(16, 4 * length)))
    # One of each length in one batch: all but the last have neighbours that are longer.
    together = [found[0] for found in texts.by_length.values()]
    while together and not fits(len(together), len(together[-1].ids)):
        together.pop()
    if together:
        length = len(together[-1].ids)
        if texts.cost.of(len(together), length) > COMPANY_SHARE * BUDGET_FLOP:
            together = [together[0], together[-1]]
        yield _Call(Placement.LONG_NEIGHBOURS, together, length)


def _urgency(longest: int, call: _Call) -> tuple[int, int]:
    """The longest texts alone and the one batch of all lengths first; full batches, which cost most, last."""
    if call.placement is Placement.LONG_NEIGHBOURS or (len(call.texts) == 1 and call.padded_length == longest):
        tier = 0
    else:
        tier = 2 if len(call.texts) == BATCHES[-1] else 1
    return tier, len(call.texts) * call.padded_length


def _pytorch_logits(checkpoint: Checkpoint, ids: torch.Tensor) -> Float32Array:
    logits = checkpoint.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return np.asarray(logits.numpy(), dtype=np.float32)


def _graph_logits(session: Any, inputs: dict[str, Int64Array]) -> Float32Array:
    return np.asarray(session.run(None, inputs)[0], dtype=np.float32)


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
