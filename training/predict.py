"""A model's answers to sentences, in the order of the sentences; what a model is given for a sentence."""

from collections.abc import Sequence
from typing import Any

import torch

from pretrained.batches import batches_by_length
from pretrained.collate import collate

# Without gradients a batch of this many short sentences fits anywhere.
_BATCH = 64


class DivergedError(ArithmeticError):
    """Training has left the model without usable weights; the message says how that showed."""


@torch.inference_mode()
def answer(model: Any, tokenizer: Any, sentences: Sequence[str], sequence_limit: int) -> list[str]:
    """Return the label that `model` gives each sentence.

    Not `Trainer.predict`: where the Trainer groups by length, that returns its logits in the order it dealt them.

    Args:
        model: a sequence classifier with `id2label`.
        tokenizer: its own.
        sentences: in any order.
        sequence_limit: longer sentences are cut, in tokens.

    Raises:
        DivergedError: an answer is no number.
    """
    model.eval()
    encoded = encode(tokenizer, sentences, sequence_limit)
    answers = [""] * len(sentences)
    # Neighbours in length share a batch, so that none is padded to one long sentence.
    for places in batches_by_length([len(each["input_ids"]) for each in encoded], _BATCH):
        batch = collate([encoded[place] for place in places], model.config.pad_token_id)
        logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
        if not torch.isfinite(logits).all():
            raise DivergedError("the model answers no finite numbers")
        for place, number in zip(places, logits.argmax(dim=-1).tolist(), strict=True):
            answers[place] = model.config.id2label[number]
    return answers


def encode(tokenizer: Any, sentences: Sequence[str], sequence_limit: int) -> list[dict[str, list[int]]]:
    """Return what the tokenizer gives for each sentence, cut at the limit and not padded."""
    encoded = tokenizer(list(sentences), truncation=True, max_length=sequence_limit, padding=False)
    return [{name: encoded[name][place] for name in encoded} for place in range(len(sentences))]
