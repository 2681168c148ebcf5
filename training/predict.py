"""A model's answers to sentences, in the order of the sentences."""

from collections.abc import Sequence
from typing import Any

import torch

# Without gradients a batch of this many short sentences fits anywhere.
_BATCH = 64


@torch.inference_mode()
def answer(model: Any, tokenizer: Any, sentences: Sequence[str], sequence_limit: int) -> list[str]:
    """Return the label that `model` gives each sentence.

    Not `Trainer.predict`: where the Trainer groups by length, that returns its logits in the order it dealt them.

    Args:
        model: a sequence classifier with `id2label`.
        tokenizer: its own.
        sentences: in any order.
        sequence_limit: longer sentences are cut, in tokens.
    """
    model.eval()
    encoded = tokenizer(list(sentences), truncation=True, max_length=sequence_limit, padding=False)
    # Neighbours in length share a batch, so that none is padded to one long sentence.
    order = sorted(range(len(sentences)), key=lambda place: len(encoded["input_ids"][place]))
    answers = [""] * len(sentences)
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        batch = tokenizer.pad(
            [{name: encoded[name][place] for name in encoded} for place in places], return_tensors="pt"
        ).to(model.device)
        for place, number in zip(places, model(**batch).logits.argmax(dim=-1).tolist(), strict=True):
            answers[place] = model.config.id2label[number]
    return answers
