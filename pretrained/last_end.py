"""Reads an encoder-decoder's answer off the last end token of each row, however many end tokens the rows have.

transformers' own forward refuses a batch in which one text has an end token more than another, and counts those that
fill rows where the model pads with its end token. For a text alone both give the same.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput


def filled(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """`input_ids` `[batch, sequence]` with the padding token wherever the mask is zero."""
    return torch.where(attention_mask.bool(), input_ids, model.config.pad_token_id)


def by_last_end(model: Any) -> Callable[..., Any]:
    """A forward for `input_ids` and `attention_mask` `[batch, sequence]` in place of the model's own."""

    def forward_rows(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        ids = filled(model, input_ids, attention_mask)
        hidden = model.model(input_ids=ids, attention_mask=attention_mask, use_cache=False)[0]
        ends = ids.eq(model.config.eos_token_id) & attention_mask.bool()
        last = (torch.arange(ids.shape[1], dtype=torch.int32, device=ids.device) * ends.to(torch.int32)).argmax(-1)
        sentence = hidden[torch.arange(ids.shape[0], device=ids.device), last]
        return SequenceClassifierOutput(logits=model.classification_head(sentence))

    return forward_rows
