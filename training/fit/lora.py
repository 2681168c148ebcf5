"""LoRA: low-rank updates of the layers are trained in their place, and added into them at the end.

What is saved is an ordinary checkpoint, so that any tool loads it and nothing is slower when served. The head is
trained whole, and so is the layer that `training.encoders.mean_pooling` adds: both begin without anything to adapt.
"""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from training.encoders.mean_pooling import POOLS_BY_MEAN
from training.fit.optimizer import is_of_head

# The update is scaled by alpha / rank: at twice the rank, the same learning rate suits any rank.
_ALPHA_BY_RANK = 2
_DROPOUT = 0.05


class LoraError(ValueError):
    """The model has nothing that could be adapted; the message is one sentence."""


def add_adapters(model: Any, rank: int) -> Any:
    """Put an adapter around every linear layer below the head, in attention and feed-forward alike, in place.

    All linear layers, not attention alone: that is what reaches full fine-tuning (Dettmers et al., QLoRA, 2023).

    Args:
        model: a sequence classifier; layers that were frozen before stay as they are.
        rank: of the updates.

    Returns:
        PEFT's tuner, whose `merge_and_unload` takes the adapters out of the model again and adds them in.

    Raises:
        LoraError: it has no linear layers.
    """
    from peft import LoraConfig, LoraModel

    whole = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (is_of_head(model, name) or _is_new(model, name))
    ]
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and module.weight.requires_grad
        and not is_of_head(model, f"{name}.weight")
        and not _is_new(model, f"{name}.weight")
    ]
    if not targets:
        raise LoraError(f"--lora: a {model.config.model_type} model has no linear layers that could be adapted")
    config = LoraConfig(
        r=rank,
        lora_alpha=_ALPHA_BY_RANK * rank,
        lora_dropout=_DROPOUT,
        target_modules=targets,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    tuner = LoraModel(model, config, "default")
    for parameter in whole:
        parameter.requires_grad = True
    return tuner


def _is_new(model: Any, name: str) -> bool:
    layer = getattr(model, POOLS_BY_MEAN, None)
    return layer is not None and name.startswith(layer)
