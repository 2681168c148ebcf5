"""The real sentences an export is checked on, and the others that int8 is calibrated on.

What a checkpoint was tested on is its own record to say (`training.split_record`): of a table of mind maps, those that
it held out are compared on and those that it was trained on calibrate. Of data that it knows nothing of, a fifth
calibrates and the rest is compared on; that is no test split, and is not called one.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from export import ExportError
from repository.manifest import HeldOut
from training import SAMPLE_DATA
from training.data import DataError, Idea
from training.file_text import KINDS, is_parquet, normal, plain_sentences, read_content
from training.ideas import fold_white_space
from training.maps_csv import REQUIRED_COLUMNS, ideas_of, is_maps
from training.near_copies import joined_maps
from training.split_record import SplitRecord, combined_split
from training.tables import SUFFIXES, Table, holds_records, read_table, suffix_of

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
    truth: list[str] | None
    """The true labels of `compared`, where the file has them and they are labels of the model."""
    calibration: list[str]
    held_out: HeldOut | None
    """How `compared` was kept from training, if it is the test split; None if nobody can say."""
    origin: str
    """What `compared` is, in words."""


@dataclass(frozen=True)
class _Example:
    sentence: str
    label: str = ""
    idea: Idea | None = None


@dataclass(frozen=True)
class DataFile:
    """A file that was read, and is not dealt to its uses yet."""

    path: Path
    examples: list[_Example]


def read_data(path: Path) -> DataFile:
    """Read a file: a table of mind maps, one with a column `sentence` or `text` (and maybe `label`), or a text file.

    Raises:
        ExportError: the file is missing, holds no sentence or is not what its ending says.
    """
    try:
        return DataFile(path, _read(path))
    except DataError as error:
        raise ExportError(str(error)) from None


def choose_sentences(
    data: DataFile, labels: Sequence[str], records: Sequence[SplitRecord | None] = (None,), keep_all: bool = False
) -> ChosenSentences:
    """Deal a file's sentences to their uses.

    Args:
        data: the file.
        labels: the model's; true labels are given if the file has no others.
        records: what the checkpoint keeps of its split, or the checkpoints if several are compared; None: nothing.
        keep_all: of sentences that are nobody's maps, compare on those too that are otherwise left for calibration.

    Raises:
        ExportError: nothing is left to compare on.
    """
    path, examples = data.path, data.examples
    if examples[0].idea is None:
        kept = [] if keep_all else examples[CALIBRATION_EVERY - 1 :: CALIBRATION_EVERY]
        compared = examples if keep_all else [one for place, one in enumerate(examples, 1) if place % CALIBRATION_EVERY]
        return _chosen(path, labels, compared, kept, None, f"sentences of {path.name}")
    return _of_maps(path, labels, examples, records)


def read_split(folder: Path) -> SplitRecord | None:
    """What a checkpoint or a version keeps of its split; None if it keeps nothing. Raises ExportError: broken."""
    try:
        return SplitRecord.read(folder)
    except DataError as error:
        raise ExportError(str(error)) from None


def is_sample(path: Path) -> bool:
    """Whether the file is the sample data, which says nothing of a model for something else."""
    return path.is_file() and path.read_bytes() == SAMPLE_DATA.read_bytes()


def _read(path: Path) -> list[_Example]:
    content = read_content(path)
    suffix = suffix_of(path)
    if suffix == TEXT_SUFFIX and not is_parquet(content):
        if holds_records(content) or _begins_as_maps(content):
            return _of_table(path, read_table(path, REQUIRED_COLUMNS))
        if not (lines := plain_sentences(path, content)):
            raise DataError(f"{path} holds no sentence; give one a line")
        return [_Example(line) for line in lines]
    if suffix not in SUFFIXES and not is_parquet(content):
        raise DataError(f"{path}: its ending names no kind of data; give {KINDS_OF_DATA}.")
    return _of_table(path, read_table(path, (*REQUIRED_COLUMNS, *SENTENCE_COLUMNS, LABEL_COLUMN)))


def _begins_as_maps(content: bytes) -> bool:
    """Whether the first line names the columns of maps, as in what Excel calls Unicode text."""
    first = (content.lstrip().splitlines() or [b""])[0].replace(b"\x00", b"")
    return all(name.encode() in first for name in REQUIRED_COLUMNS)


def _of_table(path: Path, table: Table) -> list[_Example]:
    if is_maps(table.columns):
        return [_Example(idea.sentence, idea.label, idea) for idea in ideas_of(table).ideas]
    column = next((name for name in SENTENCE_COLUMNS if name in table.columns), None)
    if column is None:
        raise DataError(
            f"{path} has neither the columns {', '.join(REQUIRED_COLUMNS)} nor one called "
            f"{' or '.join(SENTENCE_COLUMNS)}; it has {', '.join(table.columns)[:200] or 'none'}."
        )
    rows = table.rows((column,), (LABEL_COLUMN,), ids=(LABEL_COLUMN,))
    texts = [(row.fields[column].strip(), fold_white_space(row.fields.get(LABEL_COLUMN, ""))) for row in rows]
    if not (examples := [_Example(sentence, label) for sentence, label in texts if sentence]):
        raise DataError(f"{path} holds no sentence in its column {column}.")
    return examples


def _of_maps(
    path: Path, labels: Sequence[str], examples: list[_Example], records: Sequence[SplitRecord | None]
) -> ChosenSentences:
    by_split: dict[str | None, list[_Example]] = {}
    for example in examples:
        assert example.idea is not None
        by_split.setdefault(combined_split(example.idea, records), []).append(example)
    known = [*by_split.get("train", []), *by_split.get("validation", [])]
    unknown = by_split.get(None, [])
    if test := by_split.get("test"):
        kinds = {record.kind for record in records if record is not None}
        held_out = HeldOut.ROWS if "rows" in kinds else HeldOut.MAPS
        origin = f"test split of {path.name}" + (" (rows of maps that were trained on)" if "rows" in kinds else "")
        return _chosen(path, labels, test, by_split.get("train") or known or unknown, held_out, origin)
    if unknown:
        kept, compared = _dealt(unknown)
        origin = f"maps of {path.name}, no test split that the checkpoint knows"
        return _chosen(path, labels, compared, known or kept, None, origin)
    kept, compared = _dealt(known)
    origin = f"maps of {path.name}, all of which were trained on"
    return _chosen(path, labels, compared, kept, None, origin, with_truth=False)


def _dealt(examples: list[_Example]) -> tuple[list[_Example], list[_Example]]:
    """A fifth of the maps (copies together, in an order that is no file's), and the others."""
    groups = joined_maps([example.idea for example in examples if example.idea])
    groups.sort(key=lambda map_ids: hashlib.sha256(map_ids[0].encode()).hexdigest())
    kept_ids = {map_id for map_ids in groups[: len(groups) // CALIBRATION_EVERY] for map_id in map_ids}

    def is_kept(example: _Example) -> bool:
        return example.idea is not None and example.idea.map_id in kept_ids

    return _divided(examples, is_kept)


def _divided(items: list[Item], is_first: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
    return [item for item in items if is_first(item)], [item for item in items if not is_first(item)]


def _chosen(
    path: Path,
    labels: Sequence[str],
    compared: list[_Example],
    calibration: list[_Example],
    held_out: HeldOut | None,
    origin: str,
    with_truth: bool = True,
) -> ChosenSentences:
    if not compared:
        raise ExportError(f"{path} holds no sentence to compare on; give more")
    compared = _sample(compared, MOST_SENTENCES)
    sentences = [example.sentence for example in compared]
    # A file's labels are in one normal form; a checkpoint from elsewhere may have another.
    own = {fold_white_space(normal(label)): label for label in labels}
    truth = [own.get(example.label) for example in compared] if with_truth else [None]
    known = [label for label in truth if label is not None]
    # One that stands twice in the file may be in both; what is tested on is kept apart all the same.
    tested = set(sentences) if held_out else set()
    scales = [example.sentence for example in calibration if example.sentence not in tested]
    return ChosenSentences(
        sentences,
        known if len(known) == len(sentences) else None,
        _sample(scales, MOST_CALIBRATION),
        held_out,
        origin,
    )


def _sample(items: list[Item], most: int) -> list[Item]:
    return items if len(items) <= most else random.Random(0).sample(items, most)
