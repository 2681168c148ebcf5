"""A checkpoint's answers to the texts of a data file that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repository.manifest import ProblemType
from repository.spelling import as_called
from training.data.examples import DataError, Example
from training.data.load import SPLIT_NAMES, SplitName, TrainingData, with_language
from training.data.reading import Reading, columns_of, read_examples
from training.data.sources import read_source
from training.data.split_record import SPLIT_FILE, SplitRecord
from training.report.contents import REPORT_FILE

if TYPE_CHECKING:  # importing PyTorch takes seconds, which a wrong file need not wait for
    from export.checkpoint.load import Checkpoint as Checkpoint


class UnusableError(ValueError):
    """The checkpoint can't be evaluated; the message is one sentence."""


@dataclass(frozen=True)
class AskedCheckpoint:
    """What a checkpoint answered."""

    labels: list[str]
    """In the order of the logits."""
    sequence_limit: int
    logits: dict[SplitName, Any]
    """Of `validation` and `test`, FP32 `[texts, labels]`."""


def read_record(checkpoint: Path) -> SplitRecord:
    """Return what a checkpoint was trained on.

    Raises:
        UnusableError: nobody can say.
        DataError: its record is none.
    """
    record = SplitRecord.read(checkpoint) if checkpoint.is_dir() else None
    if record is None:
        raise UnusableError(
            f"{checkpoint} has no {SPLIT_FILE}, so nobody can say what it was trained on: give a folder that "
            f"{as_called('`python -m training`')} wrote, which holds one beside its {REPORT_FILE}."
        )
    return record


def read_as_trained(sources: Sequence[str], record: SplitRecord) -> TrainingData:
    """Read data by the columns that a checkpoint was trained on, split as it was split then.

    What it was trained on is train, and what it never saw is test beside its own test split.

    Raises:
        DataError: the data can't be read, or nothing of it is left to test on.
    """
    wanted = record.wanted
    tables = [table for source in sources for _, table in read_source(source, wanted)]
    found = columns_of(tables[0], wanted)
    readings = [read_examples(table, found, record.task) for table in tables]
    if len(readings) > 1:
        readings = [with_language(reading) for reading in readings]
    splits: dict[SplitName, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for reading in readings:
        for example in reading.examples:
            splits[record.split_of(example) or "test"].append(example)
    if not splits["test"]:
        named = ", ".join(sources)
        raise DataError(f"{named}: the checkpoint was trained on all of it; give texts that it does not know.")
    return _data(readings, splits, record)


def _data(readings: Sequence[Reading], splits: dict[SplitName, list[Example]], record: SplitRecord) -> TrainingData:
    first = readings[0]
    return TrainingData(
        name=", ".join(reading.path.name for reading in readings),
        sha256=first.sha256 if len(readings) == 1 else "",
        columns=first.columns,
        task=record.task,
        split_kind=record.kind,
        splits=splits,
        skipped={},
        look_alikes=[],
        copies=[],
    )


def ask_checkpoint(checkpoint: Path, data: TrainingData) -> AskedCheckpoint:
    """Ask a checkpoint, or a LoRA adapter, the validation and test texts.

    Raises:
        UnusableError: it can't be loaded, or answers no finite numbers.
        DataError: a test text has a label that it does not know.
    """
    loaded = open_checkpoint(checkpoint)
    _check_labels(data, loaded.labels)
    logits = {
        name: ask(loaded, [example.text for example in data.splits[name]])
        for name in ("validation", "test")
        if data.splits[name]
    }
    return AskedCheckpoint(loaded.labels, loaded.max_length, logits)  # type: ignore[arg-type]


def open_checkpoint(source: Path | str) -> "Checkpoint":
    """Load a checkpoint, or a LoRA adapter, as the export does: from a folder, the hub or MLflow.

    Raises:
        UnusableError: it can't be loaded.
    """
    from export import ExportError
    from export.checkpoint.load import load_checkpoint

    try:
        return load_checkpoint(str(source))
    except ExportError as error:
        raise UnusableError(f"{str(error).rstrip('.')}.") from None


def ask(checkpoint: "Checkpoint", texts: Sequence[str]) -> Any:
    """Return the logits of texts, FP32 `[texts, labels]`, each text cut where it is cut when served.

    Raises:
        UnusableError: they are no finite numbers.
    """
    from training.fit.predict import DivergedError, logits_of

    try:
        return logits_of(checkpoint.model, checkpoint.tokenizer, texts, checkpoint.max_length)
    except DivergedError as error:
        raise UnusableError(f"{str(error).rstrip('.')}.") from None


def _check_labels(data: TrainingData, labels: Sequence[str]) -> None:
    if data.task is ProblemType.REGRESSION:
        return
    for example in data.splits["test"]:
        if unknown := sorted(set(example.labels) - set(labels)):
            raise DataError(
                f"{data.name}: row {example.row}, column {data.columns.label}: the checkpoint knows no class "
                f"{unknown[0]}, so that no answer could be right."
            )
