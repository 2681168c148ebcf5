"""Groups that are copies of each other, or nearly, are found, so that no split has one on each side."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

from training.data.examples import Example
from training.data.lookalikes import alike_title, seen

# Of the texts of the larger of two groups, so many are in both: a copy with a text changed, added or taken out.
SAME_TEXTS = 0.8
# Fewer texts than this can be the same by chance ("Pros", "Cons"), or in groups of two classes.
LEAST_TEXTS = 2
LEAST_TEXTS_ACROSS_CLASSES = 4
# A text of more groups than this says nothing of any two of them, and comparing each with each would take long.
_COMMON = 50


def joined_groups(examples: Sequence[Example]) -> list[list[str]]:
    """Return the names of the groups, copies together, each list sorted; most hold one.

    Two groups are copies if their names or titles look the same (`training.data.lookalikes`; titles without
    punctuation), or if they have nearly the same texts.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.group].append(example)
    joined = _Joined(groups)
    first: dict[Hashable, str] = {}
    for name, members in groups.items():
        titles = {example.group_title for example in members if example.group_title}
        for key in (("name", seen(name)), *(("title", alike_title(title)) for title in titles)):
            joined.join(name, first.setdefault(key, name))
    for one, other in _with_the_same_texts(groups):
        joined.join(one, other)
    return joined.groups()


class _Joined:
    """Sets of names that grow together (union-find)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def join(self, one: str, other: str) -> None:
        self._parent[self._root(one)] = self._root(other)

    def groups(self) -> list[list[str]]:
        members: dict[str, list[str]] = defaultdict(list)
        for name in self._parent:
            members[self._root(name)].append(name)
        return [sorted(group) for group in members.values()]

    def _root(self, name: str) -> str:
        while (parent := self._parent[name]) != name:
            self._parent[name] = self._parent[parent]
            name = parent
        return name


def _with_the_same_texts(groups: dict[str, list[Example]]) -> Iterable[tuple[str, str]]:
    keys = {name: frozenset(alike_title(example.own_text) for example in members) for name, members in groups.items()}
    targets = {name: {example.target for example in members} for name, members in groups.items()}
    identical: dict[Hashable, str] = {}
    holders: dict[str, list[str]] = defaultdict(list)
    for name, own in keys.items():
        for target in (*targets[name], None):  # None: of any class
            if len(own) >= (LEAST_TEXTS_ACROSS_CLASSES if target is None else LEAST_TEXTS):
                yield name, identical.setdefault((own, target), name)
        for key in own:
            holders[key].append(name)
    shared: Counter[tuple[str, str]] = Counter()
    for owners in holders.values():
        if len(owners) <= _COMMON:
            shared.update((one, other) for place, one in enumerate(owners) for other in owners[:place])
    for (one, other), count in shared.items():
        least = LEAST_TEXTS if targets[one] & targets[other] else LEAST_TEXTS_ACROSS_CLASSES
        if count >= least and count >= SAME_TEXTS * max(len(keys[one]), len(keys[other])):
            yield one, other
