"""What is in data before anything is trained on it? Labels, languages, lengths, copies, leaks, doubtful labels."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from repository.manifest import ProblemType
from training.data.columns import Columns, Wanted
from training.data.examples import DataError, Example, Target
from training.data.load import NO_LABEL, Source, read_splits, split_readings
from training.data.lookalikes import alike_title
from training.data.reading import Reading
from training.data.split import SPLIT_NAMES, SplitName
from training.encoders.token_lengths import Lengths, measure_lengths
from training.inspection.detected_languages import languages_of
from training.inspection.duplicates import Duplicates, find_duplicates
from training.inspection.mislabelled import FOLDS, Doubt, Embed, doubted
from training.settings import Settings

Step = Callable[[str, int], Any]
"""Opens a progress bar: description and total in, a context that yields a function that advances it out."""


@dataclass(frozen=True)
class Found:
    """An example, and where it stands."""

    example: Example
    file: Path
    split: SplitName | None
    """None: nothing could be split."""


@dataclass(frozen=True)
class Leak:
    """Texts of a split that train holds too."""

    split: SplitName
    same: list[int]
    """Places of texts that are in train as they are."""
    near: list[int]
    """Places of texts of which train holds nearly the same."""
    titles: int
    """Groups whose title a group of train has too."""
    texts: int
    """All of the split."""


@dataclass(frozen=True)
class Inspection:
    """All that was found; places are places in `rows`."""

    rows: list[Found]
    columns: Columns
    task: ProblemType
    skipped: dict[str, int]
    dealt: bool
    """The splits were dealt from one source; none came by itself."""
    cannot: str | None
    """Why it can't be trained on, if it can't."""
    warnings: list[str]
    lengths: Lengths
    languages: dict[str, int]
    detected: bool | None
    duplicates: Duplicates
    conflicts: list[list[int]]
    """Groups of rows of the same text under several labels."""
    leaks: list[Leak]
    doubts: list[Doubt] = field(default_factory=list)

    @property
    def labels(self) -> Counter[str]:
        """Examples by label; none of a regression."""
        return Counter(label for row in self.rows for label in row.example.labels or (NO_LABEL,))

    @property
    def numbers(self) -> dict[str, float]:
        """The distribution of a regression's numbers."""
        values = np.array([row.example.target for row in self.rows if isinstance(row.example.target, float)])
        quartiles = dict(zip(("least", "quarter", "median", "three quarters", "most"), range(0, 101, 25), strict=True))
        found = {name: float(np.percentile(values, share)) for name, share in quartiles.items()}
        return found | {"mean": float(values.mean()), "standard deviation": float(values.std())}

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each: what `--strict` fails on. Doubtful labels are not: a person has to judge them."""
        found = [self.cannot] if self.cannot else []
        found += self.warnings
        if self.conflicts:
            found.append(f"{len(self.conflicts)} texts stand under more than one label.")
        for leak in self.leaks:
            if count := len(leak.same) + len(leak.near):
                of = f"{count} of {leak.texts} {leak.split} texts"
                found.append(f"{of} are in train too, or nearly ({len(leak.same)} the same).")
            if leak.titles:
                found.append(f"{leak.titles} groups of {leak.split} have the title of one in train.")
        if self.lengths.cut_when_served:
            found.append(
                f"{self.lengths.cut_when_served} texts are longer than the model's {self.lengths.limit} tokens."
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """The figures, without texts but for those that are named by file and row."""
        of_split = Counter(row.split for row in self.rows if row.split)
        return {
            "rows": len(self.rows),
            "skipped": self.skipped,
            "groups": len({row.example.group for row in self.rows}),
            "columns": self.columns.as_json(),
            "task": self.task.value,
            "splits": {name: of_split[name] for name in SPLIT_NAMES},
            "labels": {} if self.task is ProblemType.REGRESSION else dict(self.labels.most_common()),
            "numbers": self.numbers if self.task is ProblemType.REGRESSION else {},
            "languages": self.languages,
            "languages_detected": self.detected,
            "tokens": asdict(self.lengths),
            "exact_duplicates": [self._named(group) for group in self.duplicates.exact],
            "near_duplicates": [self._named(group) for group in self.duplicates.near],
            "conflicts": [self._named(group) for group in self.conflicts],
            "leaks": {
                leak.split: {"same": self._named(leak.same), "near": self._named(leak.near), "titles": leak.titles}
                for leak in self.leaks
            },
            "mislabelled": [
                {**self._named([one.place])[0], "given": one.given, "suggested": one.suggested, "score": one.score}
                for one in self.doubts
            ],
            "problems": self.problems,
        }

    def _named(self, places: Sequence[int]) -> list[dict[str, Any]]:
        return [{"file": self.rows[place].file.name, "row": self.rows[place].example.row} for place in places]


@dataclass(frozen=True)
class Wishes:
    """What to measure by."""

    base_model: str | None = None
    max_length: int = Settings().max_length
    embed: Embed | None = None
    mislabelled: bool = True


@contextmanager
def _unseen(_step: str, _total: int) -> Iterator[Callable[[int], object]]:
    yield lambda _: None


def inspect_sources(
    data: Source | Sequence[Source],
    wanted: Wanted | None = None,
    wishes: Wishes | None = None,
    validation: Sequence[Source] = (),
    test: Sequence[Source] = (),
    step: Step = _unseen,
) -> Inspection:
    """Read data as `training.data.load.load_data` does and look at it.

    Raises:
        DataError: it can't be read, or the base model that lengths are counted by can't be used. That it can't be
            split, and so not trained on, is a finding.
    """
    readings, columns = read_splits(data, wanted or Wanted(), validation, test)
    warnings: list[str] = []

    def split() -> dict[SplitName, list[Example]]:
        dealt = split_readings(readings, columns, "groups")
        # That texts are in two splits is told by what is looked at, nearly the same ones included.
        warnings.extend(warning for warning in dealt.warnings if not warning.endswith("too well."))
        return dealt.splits

    found = inspect_readings(readings, columns, split, wishes or Wishes(), step)
    found.warnings.extend(warnings)
    return found


def inspect_readings(
    readings: dict[SplitName, list[Reading]],
    columns: Columns,
    split: Callable[[], dict[SplitName, list[Example]]],
    wishes: Wishes,
    step: Step,
) -> Inspection:
    """Look at what was read.

    Args:
        readings: by split.
        columns: that were read.
        split: deals what has no split of its own; raises DataError where that can't be.
        wishes: which tokenizer and which judge of labels.
        step: opens a progress bar.

    Raises:
        DataError: the base model that lengths are counted by can't be used.
    """
    rows, cannot = _rows(readings, split)
    examples = [row.example for row in rows]
    texts = [example.text for example in examples]
    task = readings["train"][0].task
    with step("Tokens", len(texts)) as advance:
        lengths = measure_lengths(texts, wishes.base_model, wishes.max_length, advance)
    with step("Duplicates", len(texts)) as advance:
        duplicates = find_duplicates(texts, advance, [example.own_text for example in examples])
    with step("Languages", 1) as advance:
        languages, detected = languages_of(examples)
        advance(1)
    doubts = _doubts(examples, task, wishes.embed, step) if wishes.mislabelled else []
    skipped: Counter[str] = Counter()
    for reading in (reading for name in SPLIT_NAMES for reading in readings[name]):
        skipped.update(reading.skipped)
    return Inspection(
        rows=rows,
        columns=columns,
        task=task,
        skipped=dict(skipped),
        dealt=not readings["validation"] and not readings["test"],
        cannot=cannot,
        warnings=[],
        lengths=lengths,
        languages=dict(languages.most_common()),
        detected=detected,
        duplicates=duplicates,
        conflicts=_conflicts(examples, task),
        leaks=_leaks(rows, duplicates),
        doubts=doubts,
    )


def _rows(
    readings: dict[SplitName, list[Reading]], split: Callable[[], dict[SplitName, list[Example]]]
) -> tuple[list[Found], str | None]:
    cannot = None
    split_of: dict[int, SplitName] = {}
    try:
        split_of = {id(example): name for name, members in split().items() for example in members}
    except DataError as error:
        cannot = str(error)
    rows = [
        Found(example, reading.path, split_of.get(id(example)))
        for name in SPLIT_NAMES
        for reading in readings[name]
        for example in reading.examples
    ]
    return rows, cannot


def _doubts(examples: Sequence[Example], task: ProblemType, embed: Embed | None, step: Step) -> list[Doubt]:
    vectors = None
    if embed is not None:
        with step("Vectors", len(examples)) as advance:
            vectors = embed([example.text for example in examples], advance)
    judged = len({label for example in examples for label in example.labels})
    with step("Doubtful labels", FOLDS * (judged if task is ProblemType.MULTI_LABEL else 1)) as advance:
        return doubted(examples, task, vectors, advance)


def _conflicts(examples: Sequence[Example], task: ProblemType) -> list[list[int]]:
    """Rows whose texts look the same, case and punctuation aside, and whose labels are not."""
    if task is ProblemType.REGRESSION:
        return []  # two people's numbers for one text may differ
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        places[alike_title(example.text)].append(place)
    targets: Callable[[int], Target] = lambda place: examples[place].target  # noqa: E731
    return [group for group in places.values() if len(set(map(targets, group))) > 1]


def _leaks(rows: Sequence[Found], duplicates: Duplicates) -> list[Leak]:
    same, near = _across(rows, duplicates.exact), _across(rows, duplicates.near)
    titles: dict[str | None, set[str]] = defaultdict(set)
    for row in rows:
        if row.example.group_title:
            titles[row.split].add(alike_title(row.example.group_title))
    return [
        Leak(
            split=name,
            same=sorted(same[name]),
            near=sorted(near[name] - same[name]),
            titles=len(titles[name] & titles["train"]),
            texts=sum(row.split == name for row in rows),
        )
        for name in SPLIT_NAMES[1:]
    ]


def _across(rows: Sequence[Found], groups: Sequence[Sequence[int]]) -> dict[str | None, set[int]]:
    """Places outside train, by split, of texts in a group that train has a text of."""
    found: dict[str | None, set[int]] = defaultdict(set)
    for group in groups:
        if any(rows[place].split == "train" for place in group):
            for place in group:
                found[rows[place].split].add(place)
    return found
