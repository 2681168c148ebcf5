"""What a training run can be told, and what it does untold."""

from dataclasses import dataclass
from typing import Literal

ClassWeights = Literal["none", "balanced"]
Vocabulary = Literal["trimmed", "all"]


@dataclass(frozen=True)
class Settings:
    """The defaults are those that did best on the validation maps of data/public_maps.csv (see data/README.md)."""

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 5e-5
    """Highest rate of the layers; the head's is `training.optimizer.HEAD_RATE` times as high."""
    frozen_share: float = 0.0
    """Share of the layers, from the bottom, that stay as they are, as the embeddings always do."""
    max_length: int = 64
    """Longest sequence trained on, in tokens; longer sentences are cut. Evaluation and serving take the model's own."""
    seed: int = 0
    patience: int = 2
    """Epochs without a better macro-F1 on validation after which training stops."""
    class_weights: ClassWeights = "none"
    vocabulary: Vocabulary | None = None
    """None: trimmed where it is large and can be (see `training.vocabulary`)."""
    max_steps: int | None = None
    """Stop after this many batches, whatever `epochs` says."""
