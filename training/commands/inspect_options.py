"""Options of `inspect`: by what labels are doubted, and what is written (which data: `training.commands.options`)."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training import SAMPLE_DATA
from training.commands.options import DataOptions
from training.settings import Settings


class Judge(StrEnum):
    """By what a label is doubted."""

    WORDS = "words"
    ENCODER = "encoder"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class InspectOptions(DataOptions):
    """All of them, in the order of --help."""

    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="What to look at; as --data.", show_default=False)
    ] = None
    base_model: Annotated[
        str | None,
        typer.Option(help="Model whose tokens are counted: a folder or a hub id.", show_default="that of train"),
    ] = None
    max_length: Annotated[int, typer.Option(min=8, help="Tokens that a text is cut at in training.")] = (
        Settings().max_length
    )
    judge: Annotated[
        Judge,
        typer.Option(
            help="By what labels are doubted. words: TF-IDF, seconds. encoder: vectors of the base model, which is "
            "right far more often and reads some 50 texts a second on two cores. none: not at all."
        ),
    ] = Judge.WORDS
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for mislabelled.csv, duplicates.csv and conflicts.csv, to be corrected in a spreadsheet.",
            show_default="nothing is written",
        ),
    ] = None
    corrections: Annotated[
        list[Path] | None,
        typer.Option(
            help="One of these files, its column label corrected; a row whose label is emptied is left out. The "
            "data is written to --out anew, to be trained on.",
            show_default=False,
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, complete, in place of tables.")] = False
    strict: Annotated[bool, typer.Option(help="Exit with 1 when something is wrong with the data, for CI.")] = False

    @property
    def sources(self) -> list[str]:
        """What to look at."""
        return [*(self.files or ()), *(self.data or ())] or [str(SAMPLE_DATA)]
