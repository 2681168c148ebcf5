"""One vector a text: the mean of an encoder's last layer over the text's tokens, before any fine-tuning."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from pretrained.batches import batches_by_length
from pretrained.collate import collate
from pretrained.inputs import ATTENTION_MASK
from repository.manifest import ProblemType
from training.encoders.base_model import BaseModel
from training.fit.predict import encode
from training.fit.trainer import half_for

_BATCH = 64


@torch.inference_mode()
def base_vectors(
    base: BaseModel, labels: Sequence[str], task: ProblemType, texts: Sequence[str], advance: Callable[[int], object]
) -> Any:
    """Return FP32 `[texts, width]` by the base model as it was before fine-tuning.

    Args:
        base: its weights are loaded here.
        labels: of the classifier; they change nothing.
        task: neither does it.
        texts: in any order; cut as the model that was trained cuts them.
        advance: is told of every batch's size.
    """
    from training.fit.train import load_classifier

    model = load_classifier(base, labels, task).eval()
    # Where a layer that begins as the mean of all tokens was put on top (training.encoders.mean_pooling), the base's
    # last one is that below.
    layer = -2 if len(_layers(model, base)) > base.config.num_hidden_layers + 1 else -1
    encoded = encode(base.tokenizer, texts, base.sequence_limit)
    # As in training: nearness of texts needs no more than bfloat16 tells.
    half = half_for(model, encoded[0], "auto") if encoded else None
    rows: list[Any] = [None] * len(texts)
    for places in batches_by_length([len(each["input_ids"]) for each in encoded], _BATCH):
        batch = collate([encoded[place] for place in places], model.config.pad_token_id)
        with torch.autocast(model.device.type, dtype=half, enabled=half is not None):
            hidden = _hidden(model, batch)[layer].float()
        mask = batch[ATTENTION_MASK][:, : hidden.shape[1], None].to(hidden)
        means = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        for place, row in zip(places, means.cpu().numpy(), strict=True):
            rows[place] = row
        advance(len(places))
    return np.stack(rows)


def _layers(model: Any, base: BaseModel) -> Any:
    encoded = encode(base.tokenizer, ["a"], base.sequence_limit)
    return _hidden(model, collate(encoded, model.config.pad_token_id))


def _hidden(model: Any, batch: Any) -> Any:
    outputs = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}, output_hidden_states=True)
    return getattr(outputs, "hidden_states", None) or outputs.decoder_hidden_states
