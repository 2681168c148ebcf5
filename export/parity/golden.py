"""Writes the golden sentences of a version with PyTorch's answers (see repository.golden)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.checkpoint.load import Checkpoint
from export.parity.measure import Reference, open_session
from export.texts.golden_choice import SENTENCES, choose_golden
from repository.golden import Golden, GoldenSentence, replay_batches
from repository.inference import Float32Array, load_tokenizer, mask_of, pad_batch, scores
from repository.manifest import MODEL_FILE, Precision
from repository.tolerances import golden_bound, unit_of


def write_golden(folder: Path, checkpoint: Checkpoint, reference: Reference, precision: Precision) -> Golden:
    """Write `folder/golden.json`: sentences and pairs with PyTorch's answers, and how far others may be from those."""
    tokenizer = load_tokenizer(folder, checkpoint.max_length)
    texts = reference.texts
    encodings = tokenizer.encode_batch(texts)
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, checkpoint.token_types) for encoding in encodings]
    chosen = choose_golden(texts, list(map(len, ids)))
    logits = reference.text_logits[chosen]
    probabilities = scores(logits, checkpoint.problem_type)
    here = _difference(folder, checkpoint, [ids[i] for i in chosen], [masks[i] for i in chosen], logits)
    golden = Golden(
        max_logit_difference=golden_bound(precision, here, unit_of(reference.text_logits, checkpoint.problem_type)),
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
