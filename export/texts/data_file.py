"""A file of sentences is read by its kind, whatever they will be used for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export import ExportError
from repository.manifest import ProblemType
from training.data.columns import MAPS, Columns, is_maps, listed
from training.data.examples import DataError, Example, fold_white_space
from training.data.file_text import KINDS, is_parquet, plain_sentences, read_content
from training.data.reading import read_examples
from training.data.split_record import SplitRecord
from training.data.tables import SUFFIXES, Table, holds_records, read_table, suffix_of

TEXT_SUFFIX = ".txt"
# Of a table that holds no mind maps: its sentences, under one of these names, and their labels.
SENTENCE_COLUMNS = ("sentence", "text")
LABEL_COLUMN = "label"
KINDS_OF_DATA = f"{KINDS}, or a .txt file with one sentence a line"


@dataclass(frozen=True)
class DataFile:
    """A file that was read, and is not dealt to its uses yet: a table, or lines of text."""

    path: Path
    table: Table | None
    lines: list[str]


@dataclass(frozen=True)
class Examples:
    """What a file holds for a checkpoint."""

    path: Path
    examples: list[Example]
    columns: Columns | None
    """By which they were read; None of sentences whose groups nobody knows."""

    @property
    def unit(self) -> str:
        return self.columns.unit if self.columns else "sentences"


def read_data(path: Path) -> DataFile:
    """Read a file: a table, or a text file with a sentence a line.

    Raises:
        ExportError: the file is missing, holds nothing or is not what its ending says.
    """
    try:
        return _read(path)
    except DataError as error:
        raise ExportError(str(error)) from None


def _read(path: Path) -> DataFile:
    content = read_content(path)
    suffix = suffix_of(path)
    if suffix == TEXT_SUFFIX and not is_parquet(content):
        if holds_records(content) or _begins_as_maps(content):
            return DataFile(path, read_table(path, MAPS.needed), [])
        if not (lines := plain_sentences(path, content)):
            raise DataError(f"{path} holds no sentence; give one a line")
        return DataFile(path, None, lines)
    if suffix not in SUFFIXES and not is_parquet(content):
        raise DataError(f"{path}: its ending names no kind of data; give {KINDS_OF_DATA}.")
    return DataFile(path, read_table(path, (*MAPS.needed, *SENTENCE_COLUMNS, LABEL_COLUMN)), [])


def _begins_as_maps(content: bytes) -> bool:
    """Whether the first line names the columns of maps, as in what Excel calls Unicode text."""
    first = (content.lstrip().splitlines() or [b""])[0].replace(b"\x00", b"")
    return all(name.encode() in first for name in MAPS.needed)


def read_examples_of(data: DataFile, records: Sequence[SplitRecord | None]) -> Examples:
    """What a file holds for a checkpoint.

    Args:
        data: the file.
        records: what the checkpoint, or checkpoints, keep of their splits: the first says which columns are read.

    Raises:
        ExportError: the table has no such columns, or what stands in them is no data.
    """
    try:
        return _examples(data, records)
    except DataError as error:
        raise ExportError(str(error)) from None


def _examples(data: DataFile, records: Sequence[SplitRecord | None]) -> Examples:
    path, table = data.path, data.table
    if table is None:
        return Examples(path, [Example(line, "", line) for line in data.lines], None)
    for record in records:
        if record is not None and set(record.columns.needed) <= set(table.columns):
            reading = read_examples(table, record.columns, record.task)
            return Examples(path, list(reading.examples), record.columns)
    if is_maps(table.columns):
        return Examples(path, list(read_examples(table, MAPS, ProblemType.SINGLE_LABEL).examples), MAPS)
    column = next((name for name in SENTENCE_COLUMNS if name in table.columns), None)
    if column is None:
        raise DataError(
            f"{path} has neither the columns {', '.join(MAPS.needed)} nor one called "
            f"{' or '.join(SENTENCE_COLUMNS)}; it has {listed(table.columns)}."
        )
    rows = table.rows((column,), (LABEL_COLUMN,), ids=(LABEL_COLUMN,))
    texts = [(row.fields[column].strip(), fold_white_space(row.fields.get(LABEL_COLUMN, ""))) for row in rows]
    if not (examples := [Example(sentence, label, sentence) for sentence, label in texts if sentence]):
        raise DataError(f"{path} holds no sentence in its column {column}.")
    return Examples(path, examples, None)
