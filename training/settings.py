"""What a training run can be told, and what it does untold."""

from dataclasses import dataclass
from typing import Literal

ClassWeights = Literal["none", "balanced"]
Vocabulary = Literal["trimmed", "all"]
MixedPrecision = Literal["auto", "off", "bf16", "fp16"]


# What the sample's maps take in two epochs, where validation was best; a head that begins at random needs no fewer.
_USUAL_STEPS = 200
_LEAST_EPOCHS, _MOST_EPOCHS = 2, 10


def usual_epochs(texts: int, texts_a_step: int) -> int:
    """Return how often to go through so many training texts where nobody says: some 200 steps, in 2 to 10 epochs."""
    steps_an_epoch = max(1, -(-texts // texts_a_step))
    return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(_USUAL_STEPS / steps_an_epoch)))


@dataclass(frozen=True)
class Settings:
    """The defaults are those that did best on the validation maps of data/public_maps.csv (see data/README.md)."""

    epochs: int = 2
    batch_size: int = 32
    gradient_accumulation: int = 1
    """Batches whose gradients make up one step."""
    learning_rate: float = 5e-5
    """Highest rate of the layers; the head's is `training.fit.optimizer.HEAD_RATE` times as high."""
    frozen_share: float = 0.0
    """Share of the layers, from the bottom, that stay as they are, as the embeddings always do."""
    max_length: int = 512
    """Longest sequence trained on, in tokens; longer texts are cut, as at the base's own limit if that is shorter.
    Evaluation and serving take the model's own."""
    seed: int = 0
    patience: int = 2
    """Epochs without a better macro-F1 on validation after which training stops."""
    class_weights: ClassWeights = "none"
    vocabulary: Vocabulary = "all"
    """Which pieces are kept (see `training.encoders.vocabulary`)."""
    label_smoothing: float = 0.0
    """Share of each target that is spread over all labels."""
    mixed_precision: MixedPrecision = "auto"
    lora_rank: int = 0
    """Rank of the low-rank updates that are trained in place of the layers; 0: the layers themselves are."""
    few_shot: bool = False
    """Pull texts of a class together before the classifier is fitted (see `training.fit.few_shot`)."""
    max_steps: int | None = None
    """Stop after this many steps, whatever `epochs` says."""


@dataclass(frozen=True)
class DistillSettings(Settings):
    """How a student is taught. The defaults are near what others report, and were not tuned."""

    epochs: int = 6
    learning_rate: float = 2e-4
    patience: int = 3
    layers: int = 6
    """Of the student."""
    temperature: float = 2.0
    """Logits are divided by it before the student's are held against the teacher's."""
    truth_weight: float = 0.3
    """Of the true labels, where they are known, against 1 for the teacher's answers."""
    hidden_weight: float = 1.0
    """Of what the layers give, against 1 for the teacher's answers."""


def usual_distillation(layers: int) -> DistillSettings:
    """Return how a student of so many layers is taught where nobody says."""
    if layers:
        return DistillSettings(layers=layers)
    return DistillSettings(
        layers=0,
        epochs=8,
        batch_size=64,
        learning_rate=3e-4,  # its vectors learn faster (`training.fit.static.TOKEN_RATE`)
        temperature=1.0,
        truth_weight=0.0,
        hidden_weight=0.0,
    )
