"""Options of `train`: how it is trained (which data is meant: `training.commands.options`)."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.commands import options
from training.report.settings import UNKNOWN_LICENSE, ReportKind, ReportSettings
from training.settings import Settings, usual_epochs

DEFAULTS = Settings()
LORA_RANK = 16
# Values of --from-version, beside numbers.
NEWEST, SERVED = "newest", "served"
# With more examples of a class, --few-shot does no better.
MOST_OF_A_CLASS = 64


class ClassWeightsOption(StrEnum):
    """Values of `--class-weights`."""

    NONE = "none"
    BALANCED = "balanced"


class MixedPrecisionOption(StrEnum):
    """Values of `--mixed-precision`."""

    AUTO = "auto"
    OFF = "off"
    BF16 = "bf16"
    FP16 = "fp16"


class VocabularyOption(StrEnum):
    """Values of `--vocabulary`."""

    TRIMMED = "trimmed"
    ALL = "all"


class SplitOption(StrEnum):
    """Values of `--split`."""

    GROUPS = "groups"
    ROWS = "rows"


BaseModelName = Annotated[
    str | None,
    typer.Option(
        help="Hugging Face model to fine-tune, of an architecture that can be exported: a folder, a hub id, or one "
        "that is installed: multilingual (multilingual-e5-small, a hundred languages) or minilm (all-MiniLM-L6-v2: "
        "half the size, English alone). A checkpoint of this program is trained further: its classifier stays for the "
        "labels that it knows, and nothing it was trained on is tested on.",
        show_default="multilingual",
    ),
]
FromVersion = Annotated[
    str | None,
    typer.Option(
        metavar="N|newest|served",
        help="Train the checkpoint further that this version of MODEL_REPOSITORY/MODEL_NAME was exported from: a "
        "number, the newest one, or the one that is served (the pinned one, else the newest). The checkpoint is known "
        "by its weights, and looked for at CHECKPOINT, at the output, beside both, and in MLflow.",
        show_default="no",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        help="Folder for the checkpoint and its training_report.json. An earlier checkpoint there is replaced "
        "once the new one is whole."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run to the same output that was interrupted or killed, if there is one; with the same "
        "options, data and base model it gives the model that it would have given.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the training data, at most.",
        show_default="2 to 10, the more the less data there is",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Texts of a batch.")]
GradientAccumulation = Annotated[
    int,
    typer.Option(
        min=1, help="Batches of a training step: 4 of 8 texts train as one of 32, with a quarter of its memory."
    ),
]
LearningRate = Annotated[float, typer.Option(min=0, help="Highest rate of the layers; the new head learns faster.")]
FrozenShare = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the layers, from the bottom, to leave as they are; quicker.")
]
MaxLength = Annotated[
    int,
    typer.Option(
        min=8,
        help="Tokens of a training text, at most, if the model takes so many; longer texts are cut.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed on the same machine gives the same model.")]
Patience = Annotated[
    int, typer.Option(min=1, help="Stop after so many epochs without a better figure on the validation data.")
]
ClassWeights = Annotated[ClassWeightsOption, typer.Option(help="balanced: an example of a rare class counts for more.")]
LabelSmoothing = Annotated[
    float,
    typer.Option(
        min=0,
        max=0.9,
        help="Share of each target that is spread over all labels, such as 0.1: scores less sure, and less harm from "
        "rows with a wrong label.",
    ),
]
MixedPrecision = Annotated[
    MixedPrecisionOption,
    typer.Option(
        help="Compute in 16 bits where that does no harm; weights stay in 32. auto: bf16 on a GPU or "
        "processor that multiplies in it, else off."
    ),
]
Lora = Annotated[
    bool,
    typer.Option(
        "--lora",
        help="Train low-rank updates of the layers in place of the layers, and add them in at the end: a fraction of "
        "the memory, for large models.",
    ),
]
LoraRank = Annotated[int, typer.Option(min=1, help="Rank of the updates of --lora.")]
FewShot = Annotated[
    bool,
    typer.Option(
        "--few-shot",
        help="For 8 to 64 examples of each class: pull texts of a class together first, then fit the classifier, as "
        "SetFit does. One label a text.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Try so many settings (rate, epochs, batch size, frozen share, smoothing, class weights), give up early "
        "on those that lag behind, and train the best on validation; those given are tried first. Takes about as many "
        "times as long.",
        show_default="no",
    ),
]
Feedback = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|s3://…",
        help="Train on people's feedback, too: what FEEDBACK of the gateway was. Rows without their sentence are left "
        "out, and so is what is like a text of validation or test.",
        show_default="no",
    ),
]
Vocabulary = Annotated[
    VocabularyOption,
    typer.Option(
        help="trimmed: of a large SentencePiece vocabulary of the unigram kind, keep the pieces of the training data, "
        "all single characters and the likeliest of the others: less memory, but texts with rare words are split into "
        "other, smaller pieces.",
    ),
]
Split = Annotated[
    SplitOption,
    typer.Option(
        help="groups: test on groups (maps) never seen. rows: test on single rows of groups that were trained on, "
        "which reads far too well; only to show the leak."
    ),
]
WithBaseline = Annotated[
    bool,
    typer.Option(
        help="Fit TF-IDF + a linear model on the same split to compare with, and draw a learning curve: what would "
        "twice the data bring?"
    ),
]
MaxSteps = Annotated[
    int | None, typer.Option(min=1, help="Stop after so many training steps, for a quick try.", show_default="no")
]


@dataclass(frozen=True, kw_only=True)
class TrainOptions(options.DataOptions):
    """All of them, in the order of --help."""

    base_model: BaseModelName = None
    from_version: FromVersion = None
    feedback: Feedback = None
    output: Output = Path("checkpoints/classifier")
    resume: Resume = False
    epochs: Epochs = None
    batch_size: BatchSize = DEFAULTS.batch_size
    gradient_accumulation: GradientAccumulation = DEFAULTS.gradient_accumulation
    learning_rate: LearningRate = DEFAULTS.learning_rate
    frozen_share: FrozenShare = DEFAULTS.frozen_share
    max_length: MaxLength = DEFAULTS.max_length
    seed: Seed = DEFAULTS.seed
    patience: Patience = DEFAULTS.patience
    class_weights: ClassWeights = ClassWeightsOption.NONE
    label_smoothing: LabelSmoothing = DEFAULTS.label_smoothing
    mixed_precision: MixedPrecision = MixedPrecisionOption.AUTO
    lora: Lora = False
    lora_rank: LoraRank = LORA_RANK
    few_shot: FewShot = False
    trials: Trials = None
    split: Split = SplitOption.GROUPS
    baseline: WithBaseline = True
    vocabulary: Vocabulary = VocabularyOption.ALL
    report: options.Report = ReportKind.full
    license_id: options.License = UNKNOWN_LICENSE
    max_steps: MaxSteps = None
    track: options.Track = None

    def settings(self, training_texts: int) -> Settings:
        """How it is trained, on so many texts."""
        texts_a_step = self.batch_size * self.gradient_accumulation
        return Settings(
            epochs=self.epochs or usual_epochs(training_texts, texts_a_step),
            batch_size=self.batch_size,
            gradient_accumulation=self.gradient_accumulation,
            learning_rate=self.learning_rate,
            frozen_share=self.frozen_share,
            max_length=self.max_length,
            seed=self.seed,
            patience=self.patience,
            class_weights=self.class_weights.value,
            label_smoothing=self.label_smoothing,
            mixed_precision=self.mixed_precision.value,
            lora_rank=self.lora_rank if self.lora else 0,
            few_shot=self.few_shot,
            vocabulary=self.vocabulary.value,
            max_steps=self.max_steps,
        )

    def written(self) -> ReportSettings:
        """What is reported of the training."""
        return ReportSettings(self.report, self.license_id, self.baseline)
