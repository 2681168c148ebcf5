"""Makes a classifier's logits depend on a row's own attended tokens alone, whatever the padding and the other rows.

transformers finds a decoder's last token by comparing ids with `config.pad_token_id`, which may be missing, and BART's
end of sentence by a mask that must count the same in every row. Both hold for a sentence alone; here they hold in a
batch too. The answers are those of the unchanged model for each sentence alone.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from export.architectures import Head


def make_rows_independent(model: Any, head: Head) -> None:
    """Replace `model.forward` by one that takes `input_ids` and `attention_mask` `[batch, sequence]`, padded right.

    Args:
        model: a sequence classifier; its `config.pad_token_id` must be an id of its vocabulary.
        head: where it takes the sentence's vector from.
    """
    if head is Head.LAST_TOKEN:
        model.forward = _by_last_token(model, model.forward)
    elif head is Head.LAST_EOS:
        model.forward = _by_last_eos(model)


def _by_last_token(model: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    def forward_rows(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        # What is masked becomes the padding token, which the model's own choice of the last token leaves out.
        return forward(input_ids=_filled(model, input_ids, attention_mask), attention_mask=attention_mask)

    return forward_rows


def _by_last_eos(model: Any) -> Callable[..., Any]:
    def forward_rows(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        ids = _filled(model, input_ids, attention_mask)
        hidden = model.model(input_ids=ids, attention_mask=attention_mask, use_cache=False)[0]
        ends = ids.eq(model.config.eos_token_id) & attention_mask.bool()
        last = (torch.arange(ids.shape[1], dtype=torch.int32) * ends.to(torch.int32)).argmax(-1)
        sentence = hidden[torch.arange(ids.shape[0]), last]
        return SequenceClassifierOutput(logits=model.classification_head(sentence))

    return forward_rows


def _filled(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    return torch.where(attention_mask.bool(), input_ids, model.config.pad_token_id)
