"""Groups, or rows, are dealt to train, validation and test in the same way each time, whatever order the file is in."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

from training.data.examples import DataError, Example
from training.data.near_copies import joined_groups

SplitName = Literal["train", "validation", "test"]
SplitKind = Literal["groups", "rows", "files"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")

# Of each class; the rest is trained on.
VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15
SHARES: dict[SplitName, float] = {"validation": VALIDATION_SHARE, "test": TEST_SHARE}
# One for each split: a class that a split lacks has no F1 there.
LEAST_GROUPS_OF_A_CLASS = len(SPLIT_NAMES)
# Of a regression, values of like rank are dealt alike.
_BINS = 5
_NO_LABEL = "no label"

Item = TypeVar("Item")


def split_examples(
    examples: Sequence[Example],
    kind: SplitKind = "groups",
    held_out: Sequence[SplitName] = ("validation", "test"),
    unit: str = "groups",
) -> dict[SplitName, list[Example]]:
    """Deal `examples` to the splits, 70 / 15 / 15 % of each class.

    Args:
        examples: in any order; the same examples get the same splits.
        kind: `groups` keeps all examples of a group together, and groups that are copies of each other, by title or by
            texts (a copied template in two splits is a leak). `rows` deals single rows, as is often done first: each
            group's title is then on both sides, and the figures say how well a model remembers titles, not how well it
            judges a new group.
        held_out: the splits beside train that are to be dealt; others come from files of their own and stay empty.
        unit: what a group is called in errors.

    Returns:
        The examples of each split, in the order they were given.

    Raises:
        DataError: fewer than two classes, or one with too few groups (rows) to be in each split. Of several labels a
            text, one that is too rare for that is trained on instead: it is one of many questions.
    """
    strata = _strata(examples)
    if len(set(strata)) < 2:
        raise DataError(
            f"there is the one class {', '.join(set(strata)) or 'of no row'} in all rows; at least 2 are needed."
        )
    several = any(isinstance(example.target, tuple) for example in examples)
    if kind == "rows":
        assigned = _deal_rows(examples, strata, held_out, several)
    else:
        assigned = _deal_groups(examples, strata, held_out, unit, several)
    if several:
        _train_every_label(examples, assigned, kind)
    splits: dict[SplitName, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for example, name in zip(examples, assigned, strict=True):
        splits[name].append(example)
    if several and (empty := next((name for name in ("train", *held_out) if not splits[name]), None)):
        raise DataError(f"there are too few {unit} to leave one for {empty}; give more.")
    for name in ("train", *held_out) if not several else ():
        _check_every_class_is_in(name, splits[name], {label for example in examples for label in example.labels}, unit)
    return splits


def _strata(examples: Sequence[Example]) -> list[str]:
    """What each example is dealt by: its label, the rarest of several, or the rank of its number among all."""
    numbers = sorted(example.target for example in examples if isinstance(example.target, float))
    counts = Counter(label for example in examples for label in example.labels)

    def stratum(example: Example) -> str:
        if isinstance(example.target, float):
            borders = (numbers[len(numbers) * place // _BINS] for place in range(1, _BINS))
            return f"from {max((border for border in borders if border <= example.target), default=numbers[0]):g}"
        return min(example.labels, key=lambda label: (counts[label], label), default=_NO_LABEL)

    return [stratum(example) for example in examples]


def _deal_groups(
    examples: Sequence[Example], strata: list[str], held_out: Sequence[SplitName], unit: str, several: bool
) -> list[SplitName]:
    """Return the split of each example, the same for all of a group and of its copies."""
    strata_of: dict[str, list[str]] = defaultdict(list)
    for example, stratum in zip(examples, strata, strict=True):
        strata_of[example.group].append(stratum)
    members: dict[str, list[list[str]]] = {stratum: [] for stratum in set(strata)}
    for names in joined_groups(examples):
        members[_most_common(_most_common(strata_of[name]) for name in names)].append(names)
    split_of = _deal(members, _small_then_by_hash, unit, held_out, several)
    by_group = {group: name for groups, name in split_of for group in groups}
    return [by_group[example.group] for example in examples]


def _deal_rows(
    examples: Sequence[Example], strata: list[str], held_out: Sequence[SplitName], several: bool
) -> list[SplitName]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        members[stratum].append(index)

    def by_hash(index: int) -> str:
        return _digest(f"{examples[index].group}\n{examples[index].text}")

    by_row = dict(_deal(members, by_hash, "rows", held_out, several))
    return [by_row[index] for index in range(len(examples))]


def _deal(
    strata: dict[str, list[Item]],
    order: Callable[[Item], str],
    what: str,
    held_out: Sequence[SplitName],
    several: bool,
) -> list[tuple[Item, SplitName]]:
    dealt: list[tuple[Item, SplitName]] = []
    for stratum, items in sorted(strata.items()):
        if len(items) <= len(held_out) and several:
            dealt.extend((item, "train") for item in items)
            continue
        if len(items) <= len(held_out):
            copies = "" if what == "rows" else ", copies counted once"
            raise DataError(
                f"class {stratum} has {len(items)} {what}{copies}; at least {len(held_out) + 1} are needed, one each "
                f"for train{''.join(f', {name}' for name in held_out[:-1])} and {held_out[-1]}."
            )
        ends = {}
        end = 0
        # The test split first: it stays the same when validation has a file of its own.
        for name in reversed(held_out):
            end += max(1, round(SHARES[name] * len(items)))
            ends[name] = end
        for place, item in enumerate(sorted(items, key=order)):
            dealt.append((item, next((name for name, end in ends.items() if place < end), "train")))
    return dealt


def _train_every_label(examples: Sequence[Example], assigned: list[SplitName], kind: SplitKind) -> None:
    """Move to train what bears a label that train lacks: a rare one among the labels of a group in another split."""
    dealt = zip(examples, assigned, strict=True)
    trained = {label for example, name in dealt if name == "train" for label in example.labels}
    bearing = {place for place, example in enumerate(examples) if set(example.labels) - trained}
    if not bearing:
        return
    if kind == "groups":
        moved = {examples[place].group for place in bearing}
        copies = {name for names in joined_groups(examples) if moved & set(names) for name in names}
        bearing = {place for place, example in enumerate(examples) if example.group in copies}
    for place in bearing:
        assigned[place] = "train"


def _small_then_by_hash(names: list[str]) -> str:
    # Groups of a left-over default title can be a tenth of a file: as one big group they belong in train.
    return f"{len(names):09d} {_digest(names[0])}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()  # Python's own hash() of a string changes with each run


def _most_common(labels: Iterable[str]) -> str:
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def _check_every_class_is_in(name: str, members: list[Example], labels: set[str], unit: str) -> None:
    if lacking := sorted(labels - {label for example in members for label in example.labels}):
        raise DataError(
            f"none of the {unit} of class {lacking[0]} is left for {name}, because copies stay together and theirs "
            f"have other classes too; give the class more {unit}."
        )
