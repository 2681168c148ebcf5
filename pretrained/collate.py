"""Encoded texts become one batch: padded right to the longest, whatever the tokenizer says of padding."""

from collections.abc import Sequence
from typing import Any

import torch

from pretrained.inputs import ATTENTION_MASK, INPUT_IDS

LABELS = "labels"


def collate(encoded: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Return each input as INT64 `[batch, longest]`, and `labels` `[batch]` where the texts have one.

    Not the tokenizer's own `pad`: that wants a padding token, which not every tokenizer names, and pads left where the
    tokenizer was made to generate, which moves the positions of models that count them from the row's start.

    Args:
        encoded: of each text, its token ids and what goes with each of them; `labels` is a number.
        pad_token_id: id that fills the shorter rows; all else is filled with 0.
    """
    longest = max(len(each[INPUT_IDS]) for each in encoded)
    batch = {}
    for name in encoded[0]:
        if name == LABELS:
            batch[name] = torch.tensor([each[name] for each in encoded])
            continue
        fill = pad_token_id if name == INPUT_IDS else 0
        batch[name] = torch.tensor([[*each[name], *[fill] * (longest - len(each[name]))] for each in encoded])
    if ATTENTION_MASK not in batch:
        rows = [[1] * len(each[INPUT_IDS]) + [0] * (longest - len(each[INPUT_IDS])) for each in encoded]
        batch[ATTENTION_MASK] = torch.tensor(rows)
    return batch
