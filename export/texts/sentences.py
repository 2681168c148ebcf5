"""The real sentences an export is checked on, and the others that int8 is calibrated on.

What a checkpoint was tested on is its own record to say (`training.data.split_record`), and so is which columns of a
table it reads: what it held out is compared on and what it was trained on calibrates. Of data that it knows nothing of,
a fifth calibrates and the rest is compared on; that is no test split, and is not called one.

A precision that is chosen by sentences is not reported by the same ones: `auto` is judged on the validation split where
the checkpoint knows of one, else on sentences that are taken from those to compare on.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from export import ExportError
from export.texts.data_file import DataFile, Examples, read_examples_of
from repository.manifest import HeldOut
from training import SAMPLE_DATA
from training.data.examples import DataError, Example, Target, fold_white_space
from training.data.file_text import normal
from training.data.near_copies import joined_groups
from training.data.split_record import SplitRecord, combined_split

Item = TypeVar("Item")

# Enough that 99 % agreement is told from 98.5 %, few enough that three precisions are measured within a minute.
MOST_SENTENCES = 1000
# Each is run alone; some 4000 tokens, more than any product of a small encoder has inputs.
MOST_CALIBRATION = 256
# Of data that no checkpoint was trained on, one part of so many is kept for calibration.
CALIBRATION_EVERY = 5
# `auto` is judged on more of them: see docs/explanation/how-auto-decides.md for what each thousand tells.
MOST_JUDGED = 4000
# Lengths and scripts are counted on them: of so many, a bin of 1 % is known to a tenth of itself.
MOST_PROFILED = 10_000


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
    judged: "JudgedSentences | None" = None
    """What `auto` is judged on; None if it is not, or nothing is left for it."""
    profiled: "ProfiledTexts | None" = None
    """What live texts can be held against later on."""


@dataclass(frozen=True)
class ProfiledTexts:
    """Texts like those that the checkpoint was trained on: those themselves, where it knows them."""

    texts: list[str]
    origin: str
    """Which they are, in words."""


@dataclass(frozen=True)
class JudgedSentences:
    """Sentences that decide on a precision, each once; none of them is compared on or calibrates."""

    sentences: list[str]
    truth: list[Target] | None
    """As in `ChosenSentences`."""
    groups: list[str]
    """The group of each."""
    is_validation: bool
    """Whether it is the checkpoint's validation split."""
    origin: str
    """What they are, in words."""


def choose_sentences(
    data: DataFile,
    labels: Sequence[str],
    records: Sequence[SplitRecord | None] = (None,),
    keep_all: bool = False,
    to_judge: bool = False,
) -> ChosenSentences:
    """Deal a file's sentences to their uses.

    Args:
        data: the file: of the columns that a record names; of mind maps; or with a column `sentence` or `text` (and
            maybe `label`).
        labels: the model's; true labels are given if the file has no others.
        records: what the checkpoint keeps of its split, or the checkpoints if several are compared; None: nothing.
        keep_all: of sentences that are nobody's groups, compare on those too that are otherwise left for calibration.
        to_judge: leave sentences to judge a precision on: the validation split, or three fifths of other data.

    Raises:
        ExportError: the table has no such columns, or nothing is left to compare on.
    """
    found = read_examples_of(data, records)
    chosen = _to_uses(found, labels, records, keep_all, to_judge)
    return replace(chosen, profiled=_profiled(found, records))


def _to_uses(
    found: Examples,
    labels: Sequence[str],
    records: Sequence[SplitRecord | None],
    keep_all: bool,
    to_judge: bool,
) -> ChosenSentences:
    if found.columns is not None:
        return _of_groups(found, labels, records, to_judge)
    path = found.path
    if keep_all:
        return _chosen(path, labels, found.examples, [], None, f"sentences of {path.name}")
    # One in five calibrates; of five, three are judged on, or all others are compared on.
    places = [place % CALIBRATION_EVERY for place in range(1, len(found.examples) + 1)]
    kept = _at(found.examples, places, {0})
    judged = _at(found.examples, places, {2, 3, 4}) if to_judge else []
    compared = _at(found.examples, places, {1} if to_judge else {1, 2, 3, 4})
    origin = f"sentences of {path.name}"
    return _chosen(path, labels, compared, kept, None, origin, judged=_judged(labels, judged, origin))


def _profiled(found: Examples, records: Sequence[SplitRecord | None]) -> ProfiledTexts:
    trained = [example.text for example in found.examples if combined_split(example, records) == "train"]
    if trained:
        return ProfiledTexts(_sample(trained, MOST_PROFILED), f"train split of {found.path.name}")
    texts = [example.text for example in found.examples]
    return ProfiledTexts(_sample(texts, MOST_PROFILED), f"sentences of {found.path.name}")


def validation_sentences(
    data: DataFile, labels: Sequence[str], records: Sequence[SplitRecord | None]
) -> JudgedSentences | None:
    """The sentences of a file that a precision is to be judged on, however it is split; None if none is left.

    Those that the checkpoint was trained or tested on are left out.

    Raises:
        ExportError: the table has no columns that are known.
    """
    found = read_examples_of(data, records)
    others = [example for example in found.examples if combined_split(example, records) not in ("train", "test")]
    return _judged(labels, others, f"sentences of {data.path.name}", is_validation=True)


def read_split(folder: Path) -> SplitRecord | None:
    """What a checkpoint or a version keeps of its split; None if it keeps nothing. Raises ExportError: broken."""
    try:
        return SplitRecord.read(folder)
    except DataError as error:
        raise ExportError(str(error)) from None


def is_sample(path: Path) -> bool:
    """Whether the file is the sample data, which says nothing of a model for something else."""
    return path.is_file() and path.read_bytes() == SAMPLE_DATA.read_bytes()


def _of_groups(
    found: Examples, labels: Sequence[str], records: Sequence[SplitRecord | None], to_judge: bool
) -> ChosenSentences:
    path, unit = found.path, found.unit
    by_split: dict[str | None, list[Example]] = {}
    for example in found.examples:
        by_split.setdefault(combined_split(example, records), []).append(example)
    validation = by_split.get("validation", [])
    known = [*by_split.get("train", []), *validation]
    unknown = by_split.get(None, [])
    kinds = {record.kind for record in records if record is not None}
    seen = f" (rows of {unit} that were trained on)" if "rows" in kinds else ""
    judged = None
    if to_judge and validation:
        judged = _judged(labels, validation, f"validation split of {path.name}{seen}", is_validation=True)
    if test := by_split.get("test"):
        held_out = next(HeldOut(kind) for kind in ("rows", "files", "groups") if kind in kinds)
        origin = f"test split of {path.name}{seen}"
        if to_judge and judged is None:
            test, taken = _halves(test)
            judged, origin = _judged(labels, taken, f"half of the {origin}"), f"half of the {origin}"
        return _chosen(path, labels, test, by_split.get("train") or known or unknown, held_out, origin, judged=judged)
    dealt = unknown or known
    kept, others = _dealt(dealt)
    origin = f"{unit} of {path.name}, " + (
        "no test split that the checkpoint knows" if unknown else "all of which were trained on"
    )
    if to_judge and judged is None:
        others, taken = _quarter(others)
        judged = _judged(labels, taken, origin, with_truth=bool(unknown))
    return _chosen(
        path, labels, others, known if unknown and known else kept, None, origin, bool(unknown), judged=judged
    )


def _dealt(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """A fifth of the groups, and the others."""
    groups = _ordered_groups(examples)
    return _divided(examples, groups[: len(groups) // CALIBRATION_EVERY])


def _quarter(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """A quarter of the groups, one at least, and the others."""
    groups = _ordered_groups(examples)
    return _divided(examples, groups[: max(1, len(groups) // 4)])


def _halves(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """Half of the groups, one at least, and the others."""
    groups = _ordered_groups(examples)
    return _divided(examples, groups[: max(1, len(groups) // 2)])


def _ordered_groups(examples: list[Example]) -> list[list[str]]:
    """Groups, copies together, in an order that is no file's."""
    return sorted(joined_groups(examples), key=lambda names: hashlib.sha256(names[0].encode()).hexdigest())


def _divided(examples: list[Example], groups: list[list[str]]) -> tuple[list[Example], list[Example]]:
    first = {name for names in groups for name in names}
    return [one for one in examples if one.group in first], [one for one in examples if one.group not in first]


def _at(examples: list[Example], places: list[int], wanted: set[int]) -> list[Example]:
    return [one for one, place in zip(examples, places, strict=True) if place in wanted]


def _judged(
    labels: Sequence[str], examples: list[Example], origin: str, is_validation: bool = False, with_truth: bool = True
) -> JudgedSentences | None:
    """Each text once: the same one again says nothing new. In their order: neighbours are joined to long texts."""
    distinct = list({example.text: example for example in reversed(examples)}.values())[::-1]
    once = [distinct[place] for place in sorted(_sample(list(range(len(distinct))), MOST_JUDGED))]
    truth = _truth(labels, once) if with_truth else None
    texts, groups = [example.text for example in once], [example.group for example in once]
    return JudgedSentences(texts, truth, groups, is_validation, origin) if once else None


def _truth(labels: Sequence[str], examples: list[Example]) -> list[Target] | None:
    """The true labels in the model's names; None if one of them is none of the model's."""
    # A file's labels are in one normal form; a checkpoint from elsewhere may have another.
    own = {fold_white_space(normal(label)): label for label in labels}
    known = [target for example in examples if (target := _in_names_of(own, example.target)) is not None]
    return known if len(known) == len(examples) else None


def _chosen(
    path: Path,
    labels: Sequence[str],
    compared: list[Example],
    calibration: list[Example],
    held_out: HeldOut | None,
    origin: str,
    with_truth: bool = True,
    judged: JudgedSentences | None = None,
) -> ChosenSentences:
    if not compared:
        raise ExportError(f"{path} holds no sentence to compare on; give more")
    compared = _sample(compared, MOST_SENTENCES)
    sentences = [example.text for example in compared]
    # One that stands twice in the file may be in both; what is tested or judged on is kept apart all the same.
    tested = {*(sentences if held_out else ()), *(judged.sentences if judged else ())}
    scales = [example.text for example in calibration if example.text not in tested]
    truth = _truth(labels, compared) if with_truth else None
    return ChosenSentences(sentences, truth, _sample(scales, MOST_CALIBRATION), held_out, origin, judged)


def _in_names_of(own: dict[str, str], target: Target) -> Target | None:
    """A target in the model's own names of its labels; None if it has no such label."""
    if isinstance(target, float):
        return target
    if isinstance(target, str):
        return own.get(target)
    return tuple(own[label] for label in target) if all(label in own for label in target) else None


def _sample(items: list[Item], most: int) -> list[Item]:
    return items if len(items) <= most else random.Random(0).sample(items, most)
