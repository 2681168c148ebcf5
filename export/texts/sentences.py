"""The real sentences an export is checked on, and the others that int8 is calibrated on.

What a checkpoint was tested on is its own record to say (`training.data.split_record`), and so is which columns of a
table it reads: what it held out is compared on and what it was trained on calibrates. Of data that it knows nothing of,
a fifth calibrates and the rest is compared on; that is no test split, and is not called one.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from export import ExportError
from repository.manifest import HeldOut, ProblemType
from training import SAMPLE_DATA
from training.data.columns import MAPS, Columns, is_maps, listed
from training.data.examples import DataError, Example, Target, fold_white_space
from training.data.file_text import KINDS, is_parquet, normal, plain_sentences, read_content
from training.data.near_copies import joined_groups
from training.data.reading import read_examples
from training.data.split_record import SplitRecord, combined_split
from training.data.tables import SUFFIXES, Table, holds_records, read_table, suffix_of

Item = TypeVar("Item")

# Enough that 99 % agreement is told from 98.5 %, few enough that three precisions are measured within a minute.
MOST_SENTENCES = 1000
# Each is run alone; some 4000 tokens, more than any product of a small encoder has inputs.
MOST_CALIBRATION = 256
# Of data that no checkpoint was trained on, one part of so many is kept for calibration.
CALIBRATION_EVERY = 5
TEXT_SUFFIX = ".txt"
# Of a table that holds no mind maps: its sentences, under one of these names, and their labels.
SENTENCE_COLUMNS = ("sentence", "text")
LABEL_COLUMN = "label"
KINDS_OF_DATA = f"{KINDS}, or a .txt file with one sentence a line"


@dataclass(frozen=True)
class ChosenSentences:
    """Sentences of a file, dealt to their uses; no sentence is in both."""

    compared: list[str]
    truth: list[Target] | None
    """The true labels, or numbers, of `compared`, where the file has them and they are labels of the model."""
    calibration: list[str]
    held_out: HeldOut | None
    """How `compared` was kept from training, if it is the test split; None if nobody can say."""
    origin: str
    """What `compared` is, in words."""


@dataclass(frozen=True)
class DataFile:
    """A file that was read, and is not dealt to its uses yet: a table, or lines of text."""

    path: Path
    table: Table | None
    lines: list[str]


@dataclass(frozen=True)
class _Examples:
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


def choose_sentences(
    data: DataFile, labels: Sequence[str], records: Sequence[SplitRecord | None] = (None,), keep_all: bool = False
) -> ChosenSentences:
    """Deal a file's sentences to their uses.

    Args:
        data: the file: of the columns that a record names; of mind maps; or with a column `sentence` or `text` (and
            maybe `label`).
        labels: the model's; true labels are given if the file has no others.
        records: what the checkpoint keeps of its split, or the checkpoints if several are compared; None: nothing.
        keep_all: of sentences that are nobody's groups, compare on those too that are otherwise left for calibration.

    Raises:
        ExportError: the table has no such columns, or nothing is left to compare on.
    """
    try:
        found = _examples(data, records)
    except DataError as error:
        raise ExportError(str(error)) from None
    if found.columns is not None:
        return _of_groups(found, labels, records)
    examples = found.examples
    kept = [] if keep_all else examples[CALIBRATION_EVERY - 1 :: CALIBRATION_EVERY]
    compared = examples if keep_all else [one for place, one in enumerate(examples, 1) if place % CALIBRATION_EVERY]
    return _chosen(data.path, labels, compared, kept, None, f"sentences of {data.path.name}")


def read_split(folder: Path) -> SplitRecord | None:
    """What a checkpoint or a version keeps of its split; None if it keeps nothing. Raises ExportError: broken."""
    try:
        return SplitRecord.read(folder)
    except DataError as error:
        raise ExportError(str(error)) from None


def is_sample(path: Path) -> bool:
    """Whether the file is the sample data, which says nothing of a model for something else."""
    return path.is_file() and path.read_bytes() == SAMPLE_DATA.read_bytes()


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


def _examples(data: DataFile, records: Sequence[SplitRecord | None]) -> _Examples:
    path, table = data.path, data.table
    if table is None:
        return _Examples(path, [Example(line, "", line) for line in data.lines], None)
    for record in records:
        if record is not None and set(record.columns.needed) <= set(table.columns):
            reading = read_examples(table, record.columns, record.task)
            return _Examples(path, list(reading.examples), record.columns)
    if is_maps(table.columns):
        return _Examples(path, list(read_examples(table, MAPS, ProblemType.SINGLE_LABEL).examples), MAPS)
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
    return _Examples(path, examples, None)


def _of_groups(found: _Examples, labels: Sequence[str], records: Sequence[SplitRecord | None]) -> ChosenSentences:
    path, unit = found.path, found.unit
    by_split: dict[str | None, list[Example]] = {}
    for example in found.examples:
        by_split.setdefault(combined_split(example, records), []).append(example)
    known = [*by_split.get("train", []), *by_split.get("validation", [])]
    unknown = by_split.get(None, [])
    if test := by_split.get("test"):
        kinds = {record.kind for record in records if record is not None}
        held_out = next(HeldOut(kind) for kind in ("rows", "files", "groups") if kind in kinds)
        origin = f"test split of {path.name}" + (f" (rows of {unit} that were trained on)" if "rows" in kinds else "")
        return _chosen(path, labels, test, by_split.get("train") or known or unknown, held_out, origin)
    if unknown:
        kept, compared = _dealt(unknown)
        origin = f"{unit} of {path.name}, no test split that the checkpoint knows"
        return _chosen(path, labels, compared, known or kept, None, origin)
    kept, compared = _dealt(known)
    origin = f"{unit} of {path.name}, all of which were trained on"
    return _chosen(path, labels, compared, kept, None, origin, with_truth=False)


def _dealt(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """A fifth of the groups (copies together, in an order that is no file's), and the others."""
    groups = joined_groups(examples)
    groups.sort(key=lambda names: hashlib.sha256(names[0].encode()).hexdigest())
    kept = {name for names in groups[: len(groups) // CALIBRATION_EVERY] for name in names}
    return _divided(examples, lambda example: example.group in kept)


def _divided(items: list[Item], is_first: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
    return [item for item in items if is_first(item)], [item for item in items if not is_first(item)]


def _chosen(
    path: Path,
    labels: Sequence[str],
    compared: list[Example],
    calibration: list[Example],
    held_out: HeldOut | None,
    origin: str,
    with_truth: bool = True,
) -> ChosenSentences:
    if not compared:
        raise ExportError(f"{path} holds no sentence to compare on; give more")
    compared = _sample(compared, MOST_SENTENCES)
    sentences = [example.text for example in compared]
    # A file's labels are in one normal form; a checkpoint from elsewhere may have another.
    own = {fold_white_space(normal(label)): label for label in labels}
    truth = [_in_names_of(own, example.target) for example in compared] if with_truth else [None]
    known = [target for target in truth if target is not None]
    # One that stands twice in the file may be in both; what is tested on is kept apart all the same.
    tested = set(sentences) if held_out else set()
    scales = [example.text for example in calibration if example.text not in tested]
    return ChosenSentences(
        sentences,
        known if len(known) == len(sentences) else None,
        _sample(scales, MOST_CALIBRATION),
        held_out,
        origin,
    )


def _in_names_of(own: dict[str, str], target: Target) -> Target | None:
    """A target in the model's own names of its labels; None if it has no such label."""
    if isinstance(target, float):
        return target
    if isinstance(target, str):
        return own.get(target)
    return tuple(own[label] for label in target) if all(label in own for label in target) else None


def _sample(items: list[Item], most: int) -> list[Item]:
    return items if len(items) <= most else random.Random(0).sample(items, most)
