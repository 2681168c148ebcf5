"""A model's logits for texts, in the order of the texts; what a model is given for a text."""

from collections.abc import Sequence
from typing import Any

import torch

from pretrained.batches import batches_by_length
from pretrained.collate import collate

# Without gradients a batch of this many short texts fits anywhere.
_BATCH = 64


class DivergedError(ArithmeticError):
    """Training has left the model without usable weights; the message says how that showed."""


@torch.inference_mode()
def logits_of(model: Any, tokenizer: Any, texts: Sequence[str], sequence_limit: int, width: int | None = None) -> Any:
    """Return what `model` gives each text: a NumPy array, FP32 `[texts, labels]`.

    Not `Trainer.predict`: where the Trainer groups by length, that returns its logits in the order it dealt them.

    Args:
        model: a sequence classifier.
        tokenizer: its own.
        texts: in any order.
        sequence_limit: longer texts are cut, in tokens.
        width: numbers that the model answers a text, if not one a label.

    Raises:
        DivergedError: an answer is no number.
    """
    model.eval()
    encoded = encode(tokenizer, texts, sequence_limit)
    answers = torch.zeros(len(texts), width or model.config.num_labels)
    # Neighbours in length share a batch, so that none is padded to one long text.
    for places in batches_by_length([len(each["input_ids"]) for each in encoded], _BATCH):
        batch = collate([encoded[place] for place in places], model.config.pad_token_id)
        logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
        if not torch.isfinite(logits).all():
            raise DivergedError("the model answers no finite numbers")
        answers[places] = logits.float().cpu()
    return answers.numpy()


def encode(tokenizer: Any, texts: Sequence[str], sequence_limit: int) -> list[dict[str, list[int]]]:
    """Return what the tokenizer gives for each text, cut at the limit and not padded."""
    encoded = tokenizer(list(texts), truncation=True, max_length=sequence_limit, padding=False)
    return [{name: encoded[name][place] for name in encoded} for place in range(len(texts))]
