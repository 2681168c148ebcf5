"""Maps, or rows, are dealt to train, validation and test in the same way each time, whatever order the file is in."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

from training.ideas import DataError, Idea
from training.near_copies import joined_maps

SplitName = Literal["train", "validation", "test"]
SplitKind = Literal["maps", "rows"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")

# Of each class; the rest is trained on.
VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15
# One for each split: a class that a split lacks has no F1 there.
LEAST_MAPS_OF_A_CLASS = len(SPLIT_NAMES)

Item = TypeVar("Item")


def split_ideas(ideas: Sequence[Idea], kind: SplitKind = "maps") -> dict[SplitName, list[Idea]]:
    """Deal `ideas` to the three splits, 70 / 15 / 15 % of each class.

    Args:
        ideas: in any order; the same ideas get the same splits.
        kind: `maps` keeps all ideas of a map together, and maps that are copies of each other, by title or by ideas
            (a copied template in two splits is a leak). `rows` deals single rows, as is often done first: each map's
            title is then on both sides, and the figures say how well a model remembers titles, not how well it judges
            a new map.

    Returns:
        The ideas of each split, in the order they were given.

    Raises:
        DataError: fewer than two classes, or one with too few maps (rows) to be in each split.
    """
    labels = Counter(idea.label for idea in ideas)
    if len(labels) < 2:
        raise DataError(
            f"column map_category_name has the one class {', '.join(labels) or 'of no row'} in all rows; "
            "at least 2 are needed."
        )
    assigned = _deal_maps(ideas) if kind == "maps" else _deal_rows(ideas)
    splits: dict[SplitName, list[Idea]] = {name: [] for name in SPLIT_NAMES}
    for idea, name in zip(ideas, assigned, strict=True):
        splits[name].append(idea)
    for name, members in splits.items():
        _check_every_class_is_in(name, members, labels)
    return splits


def _deal_maps(ideas: Sequence[Idea]) -> list[SplitName]:
    """Return the split of each idea, the same for all ideas of a map and of its copies."""
    labels_of: dict[str, list[str]] = defaultdict(list)
    for idea in ideas:
        labels_of[idea.map_id].append(idea.label)
    strata: dict[str, list[list[str]]] = defaultdict(list)
    for map_ids in joined_maps(ideas):
        strata[_most_common(_most_common(labels_of[map_id]) for map_id in map_ids)].append(map_ids)
    split_of = _deal({label: strata[label] for label in {idea.label for idea in ideas}}, _small_then_by_hash, "maps")
    by_map = {map_id: name for map_ids, name in split_of for map_id in map_ids}
    return [by_map[idea.map_id] for idea in ideas]


def _deal_rows(ideas: Sequence[Idea]) -> list[SplitName]:
    strata: dict[str, list[int]] = defaultdict(list)
    for index, idea in enumerate(ideas):
        strata[idea.label].append(index)

    def by_hash(index: int) -> str:
        return _digest(f"{ideas[index].map_id}\n{ideas[index].sentence}")

    by_row = dict(_deal(strata, by_hash, "rows"))
    return [by_row[index] for index in range(len(ideas))]


def _deal(strata: dict[str, list[Item]], order: Callable[[Item], str], what: SplitKind) -> list[tuple[Item, SplitName]]:
    dealt: list[tuple[Item, SplitName]] = []
    for label, items in sorted(strata.items()):
        if len(items) < LEAST_MAPS_OF_A_CLASS:
            titled = ", copies counted once" if what == "maps" else ""
            raise DataError(
                f"column map_category_name: class {label} has {len(items)} {what}{titled}; at least "
                f"{LEAST_MAPS_OF_A_CLASS} are needed, one each for train, validation and test."
            )
        test = max(1, round(TEST_SHARE * len(items)))
        validation = max(1, round(VALIDATION_SHARE * len(items)))
        for place, item in enumerate(sorted(items, key=order)):
            name: SplitName = "test" if place < test else "validation" if place < test + validation else "train"
            dealt.append((item, name))
    return dealt


def _small_then_by_hash(map_ids: list[str]) -> str:
    # Maps of a left-over default title can be a tenth of a file: as one big group they belong in train.
    return f"{len(map_ids):09d} {_digest(map_ids[0])}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()  # Python's own hash() of a string changes with each run


def _most_common(labels: Iterable[str]) -> str:
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def _check_every_class_is_in(name: SplitName, members: list[Idea], labels: Iterable[str]) -> None:
    lacking = sorted(set(labels) - {idea.label for idea in members})
    if lacking:
        raise DataError(
            f"column map_category_name: no map of class {lacking[0]} is left for {name}, because maps of one title "
            "stay together and theirs have other classes too; give the class more maps."
        )
