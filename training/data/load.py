"""The data of a training run: examples in three splits, from one file or several; needs neither torch nor sklearn."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from repository.manifest import ProblemType
from training.data.columns import Columns, Wanted
from training.data.examples import DataError, Example
from training.data.lookalikes import groups_alike, spelled_out
from training.data.near_copies import joined_groups
from training.data.reading import Reading, columns_of, read_examples
from training.data.sources import read_source
from training.data.split import SPLIT_NAMES, SplitKind, SplitName, split_examples
from training.data.split_record import SplitRecord
from training.data.tables import Table

__all__ = ["SPLIT_NAMES", "DataError", "Example", "SplitKind", "SplitName", "TrainingData", "load_data", "load_split"]

Source = Path | str
NO_LABEL = "(none)"


@dataclass(frozen=True)
class TrainingData:
    """What is trained and tested on, split."""

    name: str
    """Of the file, or of the files."""
    sha256: str
    columns: Columns
    task: ProblemType
    split_kind: SplitKind
    splits: dict[SplitName, list[Example]]
    skipped: dict[str, int]
    """Rows left out, counted by the column that was empty in them."""
    look_alikes: list[list[str]]
    """Groups of classes that look alike, or differ in capitals alone."""
    copies: list[list[str]]
    """Groups by name that are copies of each other; each is in one split."""
    before: SplitRecord | None = None
    """What the base model was trained and tested on, where it is a checkpoint that is trained further."""
    order: tuple[str, ...] = ()
    """The labels in the order of a model's outputs, where that is given."""
    feedback: int = 0
    """Training texts that are people's feedback to a served model."""

    @cached_property
    def labels(self) -> list[str]:
        """The classes, sorted by name: the order of the model's outputs. Of a regression the column's name."""
        if self.order:
            return list(self.order)
        if self.task is ProblemType.REGRESSION:
            return [self.columns.label]
        return sorted({label for members in self.splits.values() for example in members for label in example.labels})

    @property
    def kind_of_label(self) -> str:
        """In words."""
        if self.task is ProblemType.REGRESSION:
            return "a number"
        several = ", several a text" if self.task is ProblemType.MULTI_LABEL else ""
        return f"{len(self.labels)} {'labels' if several else 'classes'}{several}"

    @property
    def warnings(self) -> list[str]:
        """What is likely not meant in the data, a line each."""
        count = Counter(label for members in self.splits.values() for example in members for label in example.labels)
        alike = [
            f"classes that look alike are trained as {len(group)}: "
            + ", ".join(f'"{spelled_out(label)}" ({count[label]} examples)' for label in group)
            for group in self.look_alikes
        ]
        return alike + self._rare(count) + self._leaks()

    def _rare(self, count: Mapping[str, int]) -> list[str]:
        """Of several labels a text, those that are too rare to be in each split; one label a text is refused then."""
        if self.task is not ProblemType.MULTI_LABEL:
            return []
        lacking = {
            label: [name for name in ("validation", "test") if label not in _labels([self.splits[name]])]
            for label in self.labels
        }
        return [
            f"label {spelled_out(label)} ({count[label]} examples) has none in {' and in '.join(names)}: "
            "no figure can say how well it is learned."
            for label, names in lacking.items()
            if names
        ]

    def _leaks(self) -> list[str]:
        if self.split_kind != "files":
            return []
        trained = {example.text for example in self.splits["train"]}
        found = []
        for name in ("validation", "test"):
            if same := sum(example.text in trained for example in self.splits[name]):
                of = f"{same} of {len(self.splits[name])} {name} texts"
                found.append(f"{of} are in the training data too: figures on {name} read too well.")
        return found

    @property
    def record(self) -> SplitRecord:
        """What the checkpoint keeps of the split."""
        own = SplitRecord.of(self.name, self.sha256, self.split_kind, self.splits, self.columns, self.task)
        return own.joined(self.before) if self.before else own

    def counts(self) -> dict[str, dict[str, object]]:
        """Return for each split its number of groups and examples, and its examples by class."""
        return {
            name: {
                "groups": len({example.group for example in members}),
                "examples": len(members),
                "examples_per_class": dict(
                    sorted(Counter(label for example in members for label in example.labels or (NO_LABEL,)).items())
                )
                if self.task is not ProblemType.REGRESSION
                else {},
            }
            for name, members in self.splits.items()
        }


def load_data(
    data: Source | Sequence[Source],
    split_kind: SplitKind = "groups",
    wanted: Wanted | None = None,
    validation: Sequence[Source] = (),
    test: Sequence[Source] = (),
) -> TrainingData:
    """Read one source or several of one kind, and split what has no split of its own.

    Args:
        data: files of any kind that `training.data.tables` knows, folders of Hugging Face datasets, or hub ids.
        split_kind: how to split what comes without split files.
        wanted: names of columns, and the task; None: what the first table looks like.
        validation: sources of the validation split; else the data's own, else a part of it.
        test: sources of the test split, likewise.

    Raises:
        DataError: the data can't be trained on; the message names the file, the row and the column.
    """
    readings, columns = read_splits(data, wanted or Wanted(), validation, test)
    return split_readings(readings, columns, split_kind)


def read_splits(
    data: Source | Sequence[Source],
    wanted: Wanted,
    validation: Sequence[Source] = (),
    test: Sequence[Source] = (),
) -> tuple[dict[SplitName, list[Reading]], Columns]:
    """Read sources as `load_data` does, each for the split that it names itself or was given for; deal nothing.

    Raises:
        DataError: a source can't be read, or lacks a column.
    """
    tables = tables_of(data, wanted, validation, test)
    columns = columns_of(tables["train"][0], wanted)
    return _read_all(tables, columns, wanted.task), columns


def tables_of(
    data: Source | Sequence[Source],
    wanted: Wanted,
    validation: Sequence[Source] = (),
    test: Sequence[Source] = (),
) -> dict[SplitName, list[Table]]:
    """Return the tables of sources by split. Raises DataError: one can't be read, or none is to train on."""
    named = [data] if isinstance(data, Path | str) else list(data)
    tables: dict[SplitName, list[Table]] = {name: [] for name in SPLIT_NAMES}
    for source in named:
        for name, table in read_source(source, wanted):
            tables[name].append(table)
    for name, sources in (("validation", validation), ("test", test)):
        if sources:
            tables[name] = [table for source in sources for _, table in read_source(source, wanted, whole=True)]
    if not tables["train"]:
        raise DataError(f"{', '.join(map(str, named))}: there is no training split.")
    _refuse_twice(tables)
    return tables


def _refuse_twice(tables: Mapping[SplitName, Sequence[Table]]) -> None:
    """One file for two purposes gives figures that mean nothing, by whatever name it comes."""
    trained = {table.sha256 for table in tables["train"]}
    for name, purpose in (("validation", "choose"), ("test", "test")):
        for table in tables[name]:  # type: ignore[index]
            if table.sha256 in trained:
                raise DataError(f"{table.path} is named to train and to {purpose} on; give texts that train has not.")


def load_split(data: Source, split: SplitName = "test") -> tuple[list[str], list[str]]:
    """Return the texts of one split by group of single-label data, and their labels beside them.

    Raises:
        DataError: the file can't be trained on, or its rows have not one label each.
        ValueError: there is no such split.
    """
    if split not in SPLIT_NAMES:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(SPLIT_NAMES)}.")
    loaded = load_data(data, wanted=Wanted(task=ProblemType.SINGLE_LABEL)).splits[split]
    return [example.text for example in loaded], [str(example.target) for example in loaded]


def _read_all(
    tables: Mapping[SplitName, Sequence[Table]], columns: Columns, task: ProblemType | None
) -> dict[SplitName, list[Reading]]:
    readings: dict[SplitName, list[Reading]] = {name: [] for name in SPLIT_NAMES}
    for name in SPLIT_NAMES:
        for table in tables[name]:
            reading = read_examples(table, columns, task)
            task = reading.task  # what the first table's labels are, those of the others are too
            readings[name].append(with_language(reading) if len(tables[name]) > 1 else reading)
    return readings


def with_language(reading: Reading) -> Reading:
    """Of several files without a column for the language, each stands for one: `deu_Latn.train.tsv` for `deu_Latn`."""
    stem = reading.path.name.split(".")[0]
    examples = (one if one.language else replace(one, language=stem) for one in reading.examples)
    return replace(reading, examples=tuple(examples))


def split_readings(readings: dict[SplitName, list[Reading]], columns: Columns, kind: SplitKind) -> TrainingData:
    """Split what was read and has no split of its own.

    Raises:
        DataError: it can't be trained on: one class, a class with too few groups, one that train lacks.
    """
    everything = [reading for name in SPLIT_NAMES for reading in readings[name]]
    given = {name: [e for reading in readings[name] for e in reading.examples] for name in SPLIT_NAMES}
    name = ", ".join(str(reading.path.name) for reading in everything)
    look_alikes = groups_alike(_labels(reading.examples for reading in everything))
    held_out: list[SplitName] = [split for split in ("validation", "test") if not given[split]]
    where = ", ".join(str(reading.path) for reading in readings["train"])
    try:
        splits = split_examples(given["train"], kind, held_out, columns.unit) if held_out else {"train": given["train"]}
    except DataError as error:
        alike = "; ".join(" and ".join(f'"{spelled_out(label)}"' for label in group) for group in look_alikes)
        hint = f" Classes that look alike: {alike}." if alike else ""
        raise DataError(f"{where}: column {columns.label}: {error}{hint}") from None
    splits |= {split: given[split] for split in SPLIT_NAMES if given[split] and split != "train"}
    splits = {split: splits[split] for split in SPLIT_NAMES}
    task = everything[0].task
    _check_classes(readings, splits, task, columns, where)
    digests = [reading.sha256 for reading in everything]
    skipped: Counter[str] = Counter()
    for reading in everything:
        skipped.update(reading.skipped)
    return TrainingData(
        name=name,
        sha256=digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        columns=columns,
        task=task,
        split_kind=kind if len(held_out) == 2 else "files",
        splits=splits,
        skipped=dict(skipped),
        look_alikes=look_alikes,
        copies=sorted(group for group in joined_groups(given["train"]) if len(group) > 1) if columns.group else [],
    )


def _check_classes(
    readings: dict[SplitName, list[Reading]],
    splits: Mapping[SplitName, Sequence[Example]],
    task: ProblemType,
    columns: Columns,
    where: str,
) -> None:
    if task is ProblemType.REGRESSION:
        if len({example.target for example in splits["train"]}) < 2:
            raise DataError(f"{where}: column {columns.label} has one value in all rows; there is nothing to learn.")
        return
    trained = _labels([splits["train"]])
    if len(trained) < 2 and task is ProblemType.SINGLE_LABEL:
        raise DataError(
            f"{where}: column {columns.label}: there is the one class {', '.join(trained)} in all rows; "
            "at least 2 are needed."
        )
    if not trained:
        raise DataError(f"{where}: column {columns.label} has no label in any row.")
    for name in ("validation", "test"):
        for reading in readings[name]:
            for example in reading.examples:
                if unknown := sorted(set(example.labels) - trained):
                    raise DataError(
                        f"{reading.path}: row {example.row}, column {columns.label}: the class {unknown[0]} is in no "
                        "row of the training data, so that no answer could be right."
                    )


def _labels(parts: Iterable[Sequence[Example]]) -> set[str]:
    return {label for part in parts for example in part for label in example.labels}
