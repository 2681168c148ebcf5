"""Options of `python -m launcher.gate`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class UnsureOption(StrEnum):
    """Values of `--unsure`."""

    REFUSE = "refuse"
    PASS = "pass"


Candidate = Annotated[
    Path | None,
    typer.Argument(
        help="Folder of a checkpoint that `python -m training` wrote, or of an exported version.",
        show_default="CHECKPOINT",
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="What the model was tested on: the file that it was trained on, or its test file. Repeat it for several.",
        show_default="DATA, VALIDATION_DATA and TEST_DATA",
    ),
]
Served = Annotated[
    str | None,
    typer.Option(
        help="Version to hold it against: a number in MODEL_REPOSITORY, or a version folder.",
        show_default="the one that is served",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="How much worse it may be beyond the noise: in macro-F1, or in the unit of the numbers.",
        show_default="GATE_MARGIN, else 0",
    ),
]
Unsure = Annotated[
    UnsureOption | None,
    typer.Option(
        help="What to do where the two cannot be compared: they answer different things, or too few test texts are "
        "new to both.",
        show_default="GATE_UNSURE, else refuse",
    ),
]
