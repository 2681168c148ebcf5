"""What does a base model make of texts, untrained? One vector a text, the mean of its tokens'; needs torch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from training.token_lengths import base_folder

_BATCH = 32


def sentence_vectors(
    texts: Sequence[str], base_model: str | None, max_length: int, advance: Callable[[int], object] = lambda _: None
) -> Any:
    """Return vectors FLOAT32 `[texts, dimensions]`, centred and scaled so that a linear model tells them apart.

    Args:
        texts: one or more.
        base_model: as in `training.token_lengths.base_folder`.
        max_length: tokens of a text that are read.
        advance: told of each batch's texts when they are done.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    from pretrained.tokenizer import load_fast_tokenizer

    logging.set_verbosity_error()  # that a pooler is new, which is not asked
    folder = base_folder(base_model)
    tokenizer = load_fast_tokenizer(folder)
    model = AutoModel.from_pretrained(base_model if not (folder / "config.json").is_file() else folder).eval()
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    vectors: Any = None
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        encoded = tokenizer(
            [texts[place] for place in places],
            truncation=True,
            max_length=max_length,
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1)
        means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1), dim=1).numpy()
        if vectors is None:
            vectors = np.empty((len(texts), means.shape[1]), dtype=np.float32)
        vectors[places] = means
        advance(len(places))
    # Encoders that were trained by contrast lie in a narrow cone: what all have in common says nothing.
    spread = vectors.std(axis=0)
    return (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1) / np.sqrt(vectors.shape[1])
