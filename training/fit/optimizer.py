"""Which weights are trained, and how fast: the embeddings stay, the layers move a little, the new head learns."""

import re
from typing import Any

import torch

WEIGHT_DECAY = 0.01
# The classifier begins at random and the pooler untrained: they learn this many times faster than the layers below.
HEAD_RATE = 20
# Low-rank updates begin at zero; they take ten times the rate that suits the layers themselves, over models and ranks
# (Schulman et al., LoRA Without Regret, 2025).
LORA_RATE = 10

# `bert.encoder.layer.3.`, `distilbert.transformer.layer.3.`, `model.layers.3.`, `transformer.h.3.`
_LAYER_NUMBER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")
_EMBEDDINGS = re.compile(r"embed|\.wte\.|\.wpe\.")


def freeze_lower_layers(model: Any, share: float) -> None:
    """Leave the embeddings, and this share of the layers from the bottom, out of training.

    Most words of a map never seen are in no training map: their embeddings would stay while the others move away.
    """
    numbers = {name: int(found[1]) for name, _ in model.named_parameters() if (found := _LAYER_NUMBER.search(name))}
    frozen = int(share * (max(numbers.values(), default=-1) + 1))
    for name, parameter in model.named_parameters():
        if _EMBEDDINGS.search(name) or numbers.get(name, frozen) < frozen:
            parameter.requires_grad = False


def is_of_head(model: Any, name: str) -> bool:
    """Return whether a weight belongs to the classifier, or to the pooler that it reads."""
    return not name.startswith(f"{model.base_model_prefix}.") or ".pooler." in name


def optimizer(
    model: Any, learning_rate: float, head_rate: float = HEAD_RATE, token_rate: float = 1
) -> torch.optim.Optimizer:
    """Return AdamW over the weights of `model` that are trained.

    Args:
        model: loaded.
        learning_rate: of the layers.
        head_rate: how many times as high it is for the head.
        token_rate: the same for a table of words, where that is trained.
    """
    groups: dict[tuple[float, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if is_of_head(model, name):
                factor = head_rate
            elif ".word_embeddings." in name:
                factor = token_rate
            else:
                factor = LORA_RATE if ".lora_" in name else 1
            groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": learning_rate * factor,
                "weight_decay": WEIGHT_DECAY if is_matrix else 0.0,  # not of biases and norms
            }
            for (factor, is_matrix), parameters in groups.items()
        ],
        fused=True,  # a third of the plain one's time on a CPU
    )
