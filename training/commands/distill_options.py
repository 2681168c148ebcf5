"""Options of `distill`: which teacher, what size of student, which texts, and how it learns."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from training.commands import options
from training.commands import train_options as usual
from training.report.settings import UNKNOWN_LICENSE, ReportKind
from training.settings import DistillSettings, usual_distillation

DEFAULTS = DistillSettings()
_STATIC = usual_distillation(layers=0)
# On SIB-200 such a student got 0.83 of the test texts right with them, 0.80 without.
STATIC_PIECES = 6


def _shown(name: str) -> str:
    """The default of an option that depends on the layers."""
    return f"{getattr(DEFAULTS, name):g}, {getattr(_STATIC, name):g} with --layers 0"


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
    int,
    typer.Option(
        min=0,
        help="Layers of the student. Time and cost of an answer are nearly in proportion to them. 0: static "
        "embeddings, for a cascade.",
    ),
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
Pieces = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Let the teacher answer so many pieces of each training text too: some words in a row, alone or with some "
        "of another text.",
        show_default=f"0, {STATIC_PIECES} with --layers 0",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        help="Folder for the student, a checkpoint like any other. An earlier one there is replaced once the new one "
        "is whole."
    ),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over all texts, at most.", show_default=_shown("epochs"))
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Texts of a batch.", show_default=_shown("batch_size"))]
LearningRate = Annotated[float | None, typer.Option(min=0, help="Highest rate.", show_default=_shown("learning_rate"))]
Temperature = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Above 1, the labels that the teacher thinks unlikely count for more.",
        show_default=_shown("temperature"),
    ),
]
TruthWeight = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Weight of the true labels, against 1 for the teacher's answers.",
        show_default=_shown("truth_weight"),
    ),
]
HiddenWeight = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Weight of what the teacher's layers give, against 1 for its answers; 0 is quicker.",
        show_default=_shown("hidden_weight"),
    ),
]


@dataclass(frozen=True, kw_only=True)
class DistillOptions(options.DataOptions):
    """All of them, in the order of --help."""

    teacher: Teacher
    layers: Layers = DEFAULTS.layers
    data: Data = None
    unlabelled: Unlabelled = None
    recombine: Recombine = None
    pieces: Pieces = None
    output: Output = Path("checkpoints/student")
    resume: usual.Resume = False
    epochs: Epochs = None
    batch_size: BatchSize = None
    gradient_accumulation: usual.GradientAccumulation = DEFAULTS.gradient_accumulation
    learning_rate: LearningRate = None
    temperature: Temperature = None
    truth_weight: TruthWeight = None
    hidden_weight: HiddenWeight = None
    max_length: usual.MaxLength = DEFAULTS.max_length
    seed: usual.Seed = DEFAULTS.seed
    patience: usual.Patience = DEFAULTS.patience
    mixed_precision: usual.MixedPrecision = usual.MixedPrecisionOption.AUTO
    report: options.Report = ReportKind.full
    license_id: options.License = UNKNOWN_LICENSE
    max_steps: usual.MaxSteps = None
    track: options.Track = None

    @property
    def pieces_each(self) -> int:
        """How many pieces of each training text are learned from."""
        usual_pieces = 0 if self.layers else STATIC_PIECES
        return usual_pieces if self.pieces is None else self.pieces

    @property
    def settings(self) -> DistillSettings:
        """How the student is taught."""
        by_layers = ("epochs", "batch_size", "learning_rate", "temperature", "truth_weight", "hidden_weight")
        given = {name: value for name in by_layers if (value := getattr(self, name)) is not None}
        return replace(
            usual_distillation(self.layers),
            **given,
            gradient_accumulation=self.gradient_accumulation,
            max_length=self.max_length,
            seed=self.seed,
            patience=self.patience,
            mixed_precision=self.mixed_precision.value,
            max_steps=self.max_steps,
        )
