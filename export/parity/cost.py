"""What a call to a model costs, in floating-point operations: a plan made by it is the same on every machine."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from export.checkpoint.load import Checkpoint


@dataclass(frozen=True)
class Cost:
    """Operations of one forward pass.

    Attributes:
        token: of the products with weights, for each token.
        pair: of attention, for each pair of tokens of one sentence.
    """

    token: float
    pair: float

    def of(self, sentences: int, length: int) -> float:
        """Operations for so many sentences, padded to this length in tokens."""
        return sentences * length * (self.token + self.pair * length)


def cost_of(checkpoint: Checkpoint) -> Cost:
    """Count what a short sentence takes; layers that share their weights count each time, as they should.

    PyTorch's counter leaves attention out on a CPU: queries with keys and scores with values are two products of
    2 x hidden size operations for each pair of tokens, in every layer.
    """
    length = min(8, checkpoint.max_length)
    # Any token but padding, on which mBART fails.
    ids = torch.full((1, length), 1 if checkpoint.pad_token_id == 0 else 0)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        checkpoint.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    config: Any = checkpoint.model.config
    layers, hidden = getattr(config, "num_hidden_layers", 0) or 0, getattr(config, "hidden_size", 0) or 0
    return Cost(counter.get_total_flops() / length, 4.0 * layers * hidden)
