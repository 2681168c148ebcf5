"""Options of `distill`: which teacher, what size of student, which texts, and how it learns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.commands import options
from training.commands import train_options as usual
from training.report.settings import UNKNOWN_LICENSE, ReportKind
from training.settings import DistillSettings

DEFAULTS = DistillSettings()

Teacher = Annotated[
    str,
    typer.Option(
        metavar="CHECKPOINT",
        help="What the student learns from: a folder that `python -m training` wrote, any other checkpoint of a "
        "classifier, a hub id, or a model in MLflow (models:/, runs:/).",
        show_default=False,
    ),
]
Layers = Annotated[
    int, typer.Option(min=1, help="Layers of the student. Time and cost of an answer are nearly in proportion to them.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="Labelled texts to learn from, as `train` takes them, by the teacher's columns unless others are named; "
        "what it was validated or tested on stays that. Repeat it for several files.",
        show_default="what the teacher was trained on, if that is the sample",
    ),
]
Unlabelled = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Texts without labels to learn the teacher's answers to, such as a log of what was asked: a table with "
        "the columns of the text, or a .txt file with a text a line. Repeat it for several.",
        show_default="none",
    ),
]
Recombine = Annotated[
    bool | None,
    typer.Option(
        "--recombine/--no-recombine",
        help="Let the teacher answer texts too that are put together of the training texts: each title, each text "
        "without its title, and under the title of another group.",
        show_default="--recombine where groups have titles, as mind maps do",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        help="Folder for the student, a checkpoint like any other. An earlier one there is replaced once the new one "
        "is whole."
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over all texts, at most.")]
LearningRate = Annotated[float, typer.Option(min=0, help="Highest rate.")]
Temperature = Annotated[
    float,
    typer.Option(min=0.1, help="Above 1, the labels that the teacher thinks unlikely count for more."),
]
TruthWeight = Annotated[
    float, typer.Option(min=0, help="Weight of the true labels, against 1 for the teacher's answers.")
]
HiddenWeight = Annotated[
    float,
    typer.Option(min=0, help="Weight of what the teacher's layers give, against 1 for its answers; 0 is quicker."),
]


@dataclass(frozen=True, kw_only=True)
class DistillOptions(options.DataOptions):
    """All of them, in the order of --help."""

    teacher: Teacher
    layers: Layers = DEFAULTS.layers
    data: Data = None
    unlabelled: Unlabelled = None
    recombine: Recombine = None
    output: Output = Path("checkpoints/student")
    resume: usual.Resume = False
    epochs: Epochs = DEFAULTS.epochs
    batch_size: usual.BatchSize = DEFAULTS.batch_size
    gradient_accumulation: usual.GradientAccumulation = DEFAULTS.gradient_accumulation
    learning_rate: LearningRate = DEFAULTS.learning_rate
    temperature: Temperature = DEFAULTS.temperature
    truth_weight: TruthWeight = DEFAULTS.truth_weight
    hidden_weight: HiddenWeight = DEFAULTS.hidden_weight
    max_length: usual.MaxLength = DEFAULTS.max_length
    seed: usual.Seed = DEFAULTS.seed
    patience: usual.Patience = DEFAULTS.patience
    mixed_precision: usual.MixedPrecision = usual.MixedPrecisionOption.AUTO
    report: options.Report = ReportKind.full
    license_id: options.License = UNKNOWN_LICENSE
    max_steps: usual.MaxSteps = None
    track: options.Track = None

    @property
    def settings(self) -> DistillSettings:
        """How the student is taught."""
        return DistillSettings(
            layers=self.layers,
            epochs=self.epochs,
            batch_size=self.batch_size,
            gradient_accumulation=self.gradient_accumulation,
            learning_rate=self.learning_rate,
            temperature=self.temperature,
            truth_weight=self.truth_weight,
            hidden_weight=self.hidden_weight,
            max_length=self.max_length,
            seed=self.seed,
            patience=self.patience,
            mixed_precision=self.mixed_precision.value,
            max_steps=self.max_steps,
        )
