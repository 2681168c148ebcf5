"""Options that several commands share: which data, and what in it is meant."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from repository.names import visible
from training import SAMPLE_DATA
from training.data.columns import TASKS, Wanted
from training.data.load import TrainingData, load_data
from training.data.split import SplitKind
from training.report.settings import ReportKind


class TaskOption(StrEnum):
    """Values of `--task`."""

    AUTO = "auto"
    SINGLE = "single"
    MULTI = "multi"
    REGRESSION = "regression"


Checkpoint = Annotated[Path, typer.Argument(help="Folder that `python -m training` wrote.")]
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="What to read: a CSV, TSV, JSON Lines (.jsonl, .json) or Parquet file in UTF-8 or UTF-16, maybe packed "
        "(.gz); a folder of Hugging Face datasets; or a dataset's hub id. Repeat it for several of the same columns.",
        show_default="the sample's mind maps",
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of the text. Repeat it for several, which are joined by a space.",
        show_default="those of mind maps, else text or sentence",
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        help="Column of the label: a name, a list of names, or a number.",
        show_default="that of mind maps, else label, labels or category",
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="Column that names what belongs together, as a document or an author: a group is never in two splits.",
        show_default="that of mind maps, else none",
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help="Column of the language, for figures by language. Of several files without one, each is taken for one.",
        show_default="language, if there is one",
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        help="What stands between the labels of a row that has several in one text, such as ; or |.",
        show_default="none",
    ),
]
Task = Annotated[
    TaskOption,
    typer.Option(
        help="single: one label a row. multi: several, or none. regression: a number. auto: as the labels look."
    ),
]
Validation = Annotated[
    list[str] | None,
    typer.Option(
        help="File to choose the best epoch on, of the same columns.", show_default="the data's own, or a part of it"
    ),
]
Test = Annotated[
    list[str] | None,
    typer.Option(
        help="File to test the result on, of the same columns.", show_default="the data's own, or a part of it"
    ),
]

Report = Annotated[
    ReportKind,
    typer.Option(
        help="full: a page (report.html), a model card (README.md) and the worst mistakes, with their sentences. "
        "figures: the same without a sentence of the data. none: figures as JSON alone. The export takes them along."
    ),
]
License = Annotated[
    str, typer.Option("--license", help="License of the model, for its card, as Hugging Face writes it: apache-2.0.")
]
Track = Annotated[
    bool | None,
    typer.Option(
        "--track/--no-track",
        help="Log parameters, figures, report and checkpoint in MLflow: at MLFLOW_TRACKING_URI, else in mlflow.db and "
        "mlartifacts/ here.",
        show_default="--track where MLFLOW_TRACKING_URI is set",
    ),
]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What is read, and what in it is meant."""

    data: Data = None
    text: Text = None
    label: Label = None
    group: Group = None
    language: Language = None
    label_separator: LabelSeparator = None
    task: Task = TaskOption.AUTO
    validation: Validation = None
    test: Test = None

    @property
    def wanted(self) -> Wanted:
        """What these options say of a table."""
        task = TASKS.get(self.task.value)
        return Wanted(tuple(self.text or ()), self.label, self.group, self.language, self.label_separator, task)

    def read(self, split: SplitKind = "groups") -> TrainingData:
        """Read and split what these options name.

        Raises:
            DataError: the data can't be trained on; the message is one sentence.
        """
        sources = self.data or [str(SAMPLE_DATA)]
        return load_data(sources, split, self.wanted, self.validation or (), self.test or ())


def summary_of(data: TrainingData) -> str:
    """Return one line: what is text, what is label, how much there is. A column that was guessed wrong shows here."""
    counts = ", ".join(f"{name} {len(members)}" for name, members in data.splits.items())
    text = " + ".join(map(visible, data.columns.text))
    return f"{data.name}: text {text}, label {visible(data.columns.label)} ({data.kind_of_label}); {counts} texts."
