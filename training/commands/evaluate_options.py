"""Options of `evaluate` alone: where its report goes, and what it is compared with."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option(help="Folder for the report.", show_default="the checkpoint's own, whose report is replaced"),
]
Served = Annotated[
    str | None,
    typer.Option(
        help="Version to compare with: a number in MODEL_REPOSITORY, or a version folder.",
        show_default="the one that is served",
    ),
]
