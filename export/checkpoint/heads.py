"""Makes a classifier's logits depend on a row's own attended tokens alone, whatever the padding and the other rows.

transformers finds a decoder's last token by comparing ids with `config.pad_token_id`, which may be missing, and BART's
end of sentence by a mask that must count the same in every row. Both hold for a sentence alone; here they hold in a
batch too. The answers are those of the unchanged model for each sentence alone.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from export.checkpoint.token_types import TokenTypes
from pretrained.architectures import Head
from pretrained.inputs import TOKEN_TYPE_IDS
from pretrained.last_end import by_last_end, filled

Forward = Callable[..., Any]


def make_rows_independent(model: Any, head: Head, token_types: TokenTypes, names_padding: bool) -> None:
    """Replace `model.forward` by one that takes `input_ids` and `attention_mask` `[batch, sequence]`, padded right.

    Args:
        model: a sequence classifier; its `config.pad_token_id` must be an id of its vocabulary.
        head: where it takes the sentence's vector from.
        token_types: how it is told them; where zeros are given, the new forward gives them itself.
        names_padding: its own configuration named a padding token. Without one, a decoder reads the last token,
            whichever it is.
    """
    if head is Head.LAST_EOS:
        model.forward = by_last_end(model)
        return
    if head is Head.LAST_TOKEN:
        model.forward = _by_last_token(model, model.forward) if names_padding else _by_mask(model)
    if token_types.zeros:
        model.forward = _with_zeros(model.forward)


def original_forward(model: Any) -> Forward:
    """The forward of the model's class, as it was before `make_rows_independent`."""
    forward: Forward = type(model).forward.__get__(model)
    return forward


def _with_zeros(forward: Forward) -> Forward:
    def forward_typed(
        input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> Any:
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return forward(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=types)

    return forward_typed


def _by_last_token(model: Any, forward: Forward) -> Forward:
    def forward_rows(
        input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> Any:
        # What is masked becomes the padding token, which the model's own choice of the last token leaves out.
        ids = filled(model, input_ids, attention_mask)
        return forward(input_ids=ids, attention_mask=attention_mask, **_typed(token_type_ids))

    return forward_rows


def _by_mask(model: Any) -> Forward:
    def forward_rows(
        input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> Any:
        ids = filled(model, input_ids, attention_mask)
        body = getattr(model, model.base_model_prefix)
        hidden = body(input_ids=ids, attention_mask=attention_mask, use_cache=False, **_typed(token_type_ids))[0]
        last = attention_mask.sum(-1) - 1
        return SequenceClassifierOutput(logits=model.score(hidden[torch.arange(ids.shape[0]), last]))

    return forward_rows


def _typed(token_type_ids: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {} if token_type_ids is None else {TOKEN_TYPE_IDS: token_type_ids}
