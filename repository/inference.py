"""How sentences become a graph's inputs and logits become scores: the same code at export and in the gateway.

The scores are those of `transformers.pipeline("text-classification")`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from repository.manifest import INPUTS, TOKENIZER_FILE, ProblemType, RepositoryError

# Triton joins only requests of one shape, so lengths are rounded up to a few.
LENGTH_MULTIPLE = 8

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


def load_tokenizer(folder: Path, max_length: int) -> Any:
    """The version's tokenizer, set once: cut at `max_length` tokens, never padded.

    It cuts at the end that `tokenizer.json` names as its truncation's direction; at the right if it names none.
    Settings are fixed here because a `tokenizers.Tokenizer` that is changed while other threads use it encodes wrongly.

    Raises:
        RepositoryError: `tokenizer.json` is missing or not a tokenizer.
    """
    path = folder / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise RepositoryError(f"{path} is not a tokenizer: {error}") from None
    tokenizer.no_padding()
    stated = tokenizer.truncation or {}
    tokenizer.enable_truncation(max_length, direction=stated.get("direction", "right"))
    return tokenizer


def mask_of(encoding: Any, token_types: bool) -> list[int] | None:
    """The attention mask of one text: None, for all ones, unless the model tells the texts of a pair apart.

    Args:
        encoding: what the version's tokenizer gave for a text or a pair.
        token_types: the manifest's; 2 then marks the tokens of the second text.
    """
    if not token_types or not any(types := encoding.type_ids):
        return None
    return [1 + (kind > 0) for kind in types]


def pad_batch(
    ids: Sequence[Sequence[int]],
    pad_token_id: int,
    length: int | None = None,
    masks: Sequence[Sequence[int] | None] | None = None,
) -> dict[str, Int64Array]:
    """The graph's inputs for token ids of different lengths.

    Args:
        ids: token ids of each sentence.
        pad_token_id: id that fills the shorter rows; the attention mask is 0 there.
        length: length of the rows; the longest sentence's, rounded up to a multiple of 8, if not given.
        masks: attention mask of each sentence, as `mask_of` gives it; ones where it is None, and if not given.

    Returns:
        `input_ids` and `attention_mask`, each INT64 `[batch, length]`.
    """
    if length is None:
        longest = max(map(len, ids))
        length = -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    input_ids = np.full((len(ids), length), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(ids), length), dtype=np.int64)
    for row, sentence in enumerate(ids):
        input_ids[row, : len(sentence)] = sentence
        attention_mask[row, : len(sentence)] = 1 if masks is None or (mask := masks[row]) is None else mask
    return dict(zip(INPUTS, (input_ids, attention_mask), strict=True))


def scores(logits: npt.NDArray[np.floating], problem_type: ProblemType) -> Float32Array:
    """Scores of logits `[batch, labels]`: softmax, sigmoid or, for a regression, the logits themselves."""
    if problem_type is ProblemType.REGRESSION:
        return np.asarray(logits, dtype=np.float32)
    if problem_type is ProblemType.MULTI_LABEL:
        # tanh form of the sigmoid: no overflow at either end.
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)
