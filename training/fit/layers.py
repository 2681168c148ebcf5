"""Which layers does a model have, what is left of it with some of them, and what do they give?"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification


class LayersError(ValueError):
    """A model's layers can't be cut out; the message is one sentence for the person who named the model."""


def find_layers(name: str, model: Any) -> tuple[str, list[nn.Module]]:
    """Return the name of a model's list of layers, and these.

    It is the largest list of as many modules of one kind as the configuration counts layers: `bert.encoder.layer`,
    `distilbert.transformer.layer`, `model.layers`.

    Raises:
        LayersError: there is none, as in ALBERT, whose layers share their weights, or there are two.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise LayersError(f"{name} has layers of two kinds, an encoder's and a decoder's: name a teacher of one kind.")
    found = {
        module_name: module
        for module_name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == model.config.num_hidden_layers
        and len({type(layer) for layer in module}) == 1
    }
    if not found:
        raise LayersError(
            f"{name} has no list of {model.config.num_hidden_layers} layers that could be shortened (its architecture "
            f"is {model.config.model_type}): name another teacher."
        )
    largest = max(found, key=lambda each: sum(parameter.numel() for parameter in found[each].parameters()))
    return largest, list(found[largest])


def candidates(count: int, wanted: int) -> dict[str, tuple[int, ...]]:
    """Return ways to keep `wanted` of `count` layers, in words and as layers, counted from 0; each once.

    What is known of other models does not tell which is best: DistilBERT takes every second layer, others found the
    first ones best (Sajjad et al., On the Effect of Dropping Layers of Pre-trained Transformer Models, 2020).
    """
    upper = wanted // 2
    ways = {
        "evenly spread": [round(place * (count - 1) / max(1, wanted - 1)) for place in range(wanted)],
        "each n-th": [(place + 1) * count // wanted - 1 for place in range(wanted)],
        "the first": range(wanted),
        "the first and the last one": [*range(wanted - 1), count - 1],
        "the first and the last half": [*range(wanted - upper), *range(count - upper, count)],
        "the last": range(count - wanted, count),
    }
    if wanted == 1:
        ways.pop("evenly spread")
    found: dict[tuple[int, ...], str] = {}
    for name, layers in ways.items():
        found.setdefault(tuple(layers), name)
    return {name: layers for layers, name in found.items()}


def stands_for(kept: Sequence[int], count: int) -> list[int]:
    """Return the layer of the teacher whose output each layer of a student is to give.

    A kept layer does the work of those behind it that are gone, so that the next one gets what it has always got.

    Args:
        kept: layers of the teacher that the student has, in order.
        count: of the teacher's layers.
    """
    return [following - 1 for following in (*kept[1:], count)] if kept else []


def shortened(name: str, teacher: Any, kept: Sequence[int]) -> Any:
    """Return a new model of the teacher's weights with these of its layers.

    Args:
        name: of the teacher, for errors.
        teacher: as it was loaded; it stays as it is.
        kept: its layers that stay, in order.

    Raises:
        LayersError: the shorter model has weights that the teacher lacks.
    """
    stack, layers = find_layers(name, teacher)
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = len(kept)
    kinds = getattr(config, "layer_types", None)
    if kinds and len(kinds) == len(layers):  # whether a layer's attention is global or local
        config.layer_types = [kinds[number] for number in kept]
    places = {number: place for place, number in enumerate(kept)}
    weights = {}
    for weight, tensor in teacher.state_dict().items():
        if not weight.startswith(f"{stack}."):
            weights[weight] = tensor
            continue
        number, _, rest = weight.removeprefix(f"{stack}.").partition(".")
        if int(number) in places:
            weights[f"{stack}.{places[int(number)]}.{rest}"] = tensor
    student = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    if missing := student.load_state_dict(weights, strict=False).missing_keys:
        raise LayersError(f"{name}: without some of its layers {missing[0]} is missing; name another teacher.")
    return student


@contextmanager
def watched(layers: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Yield a list that takes what these layers give, FP `[batch, tokens, width]` each, while the model runs once."""
    outputs: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        outputs.append(output if isinstance(output, torch.Tensor) else output[0])

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def check_outputs(name: str, model: Any, layers: Sequence[nn.Module], batch: dict[str, torch.Tensor]) -> None:
    """Raise LayersError unless each layer gives a vector for each token of a batch."""
    try:
        with watched(layers) as outputs:
            model(**batch)
    except KeyError:  # SqueezeBERT's give a dictionary
        outputs = []
    if len(outputs) != len(layers) or any(each.shape[:2] != batch["input_ids"].shape for each in outputs):
        raise LayersError(f"{name}: its layers give no vector for each token to learn from; name another teacher.")
