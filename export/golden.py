"""Chooses the golden sentences of a version and writes them with PyTorch's answers (see repository.golden)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.checkpoint import Checkpoint
from export.parity import Reference, open_session
from repository.golden import Golden, GoldenSentence, replay_batches
from repository.inference import Float32Array, load_tokenizer, mask_of, pad_batch, scores
from repository.manifest import MODEL_FILE, Precision
from repository.tolerances import answer_unit, golden_bound

SENTENCES = 20
# Of all together: a model of XLM-R large's size answers them in some 15 s on two cores, and is loaded that much later.
MOST_TOKENS = 2048
# Beside them, for models that tell two texts apart.
PAIRS = 4


def choose_golden(texts: Sequence[str], lengths: Sequence[int]) -> list[int]:
    """Indices of sentences of all lengths, the shortest and the longest among them; the same ones every time.

    Args:
        texts: sentences; of equal ones, one is taken.
        lengths: their lengths in tokens.

    Returns:
        At most SENTENCES indices, shortest first, together at most MOST_TOKENS long where short ones are to be had.
    """
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    order = sorted(first.values(), key=lambda index: (lengths[index], texts[index]))
    shorter, longest = order[:-1], order[-1]
    # Beside the longest one, each has an equal share of the tokens that are left.
    share = (MOST_TOKENS - lengths[longest]) // (SENTENCES - 1)
    fitting = [index for index in shorter if lengths[index] <= share]
    pool = fitting if len(fitting) >= SENTENCES - 1 else shorter[: SENTENCES - 1]
    places = np.linspace(0, len(pool) - 1, min(SENTENCES - 1, len(pool))).round().astype(int)
    return [*(pool[place] for place in places), longest]


def write_golden(folder: Path, checkpoint: Checkpoint, reference: Reference, precision: Precision) -> Golden:
    """Write `folder/golden.json`: sentences and pairs with PyTorch's answers, and how far others may be from those."""
    tokenizer = load_tokenizer(folder, checkpoint.max_length)
    texts = reference.texts
    encodings = tokenizer.encode_batch(texts)
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, checkpoint.token_types) for encoding in encodings]
    count = len(reference.sentences)
    shortest_pairs = sorted(range(count, len(texts)), key=lambda index: len(ids[index]))[:PAIRS]
    chosen = [*choose_golden(reference.sentences, list(map(len, ids[:count]))), *shortest_pairs]
    logits = reference.text_logits[chosen]
    probabilities = scores(logits, checkpoint.problem_type)
    here = _difference(folder, checkpoint, [ids[i] for i in chosen], [masks[i] for i in chosen], logits)
    golden = Golden(
        max_logit_difference=golden_bound(precision, here, answer_unit(reference.text_logits, checkpoint.problem_type)),
        sentences=[
            GoldenSentence(
                text=text if isinstance(text := texts[index], str) else text[0],
                second=None if isinstance(text, str) else text[1],
                ids=ids[index],
                mask=masks[index],
                logits=row.tolist(),
                scores=probability.tolist(),
            )
            for index, row, probability in zip(chosen, logits, probabilities, strict=True)
        ],
    )
    golden.write(folder)
    return golden


def _difference(
    folder: Path,
    checkpoint: Checkpoint,
    ids: Sequence[Sequence[int]],
    masks: Sequence[Sequence[int] | None],
    expected: Float32Array,
) -> float:
    """The largest difference of a logit, asked one by one as the server does, and batched as the gateway does."""
    session = open_session(folder / MODEL_FILE)
    largest = 0.0
    for batch in [*([index] for index in range(len(ids))), *replay_batches(ids, SENTENCES)]:
        length = len(ids[batch[0]]) if len(batch) == 1 else None
        rows, kept = [ids[index] for index in batch], [masks[index] for index in batch]
        inputs = pad_batch(rows, checkpoint.pad_token_id, length, kept)
        largest = max(largest, float(np.abs(session.run(None, inputs)[0] - expected[batch]).max()))
    return largest
