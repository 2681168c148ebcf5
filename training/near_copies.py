"""Maps that are copies of each other, or nearly, are found, so that no split has one on each side."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

from training.ideas import Idea
from training.lookalikes import alike_title, seen

# Of the ideas of the larger of two maps, so many are in both: a copy with an idea changed, added or taken out.
SAME_IDEAS = 0.8
# Fewer ideas than this can be the same by chance ("Pros", "Cons"), or in maps of two classes.
LEAST_IDEAS = 2
LEAST_IDEAS_ACROSS_CLASSES = 4
# An idea of more maps than this says nothing of any two of them, and comparing each with each would take long.
_COMMON = 50


def joined_maps(ideas: Sequence[Idea]) -> list[list[str]]:
    """Return the ids of the maps in groups of copies, each sorted; most groups hold one map.

    Two maps are copies if their ids or titles look the same (`training.lookalikes`; titles without punctuation), or if
    they have nearly the same ideas.
    """
    maps: dict[str, list[Idea]] = defaultdict(list)
    for idea in ideas:
        maps[idea.map_id].append(idea)
    joined = _Joined(maps)
    first: dict[Hashable, str] = {}
    for map_id, members in maps.items():
        titles = {idea.map_title for idea in members if idea.map_title}
        for key in (("id", seen(map_id)), *(("title", alike_title(title)) for title in titles)):
            joined.join(map_id, first.setdefault(key, map_id))
    for one, other in _with_the_same_ideas(maps):
        joined.join(one, other)
    return joined.groups()


class _Joined:
    """Sets of map ids that grow together (union-find)."""

    def __init__(self, map_ids: Iterable[str]) -> None:
        self._parent = {map_id: map_id for map_id in map_ids}

    def join(self, one: str, other: str) -> None:
        self._parent[self._root(one)] = self._root(other)

    def groups(self) -> list[list[str]]:
        members: dict[str, list[str]] = defaultdict(list)
        for map_id in self._parent:
            members[self._root(map_id)].append(map_id)
        return [sorted(group) for group in members.values()]

    def _root(self, map_id: str) -> str:
        while (parent := self._parent[map_id]) != map_id:
            self._parent[map_id] = self._parent[parent]
            map_id = parent
        return map_id


def _with_the_same_ideas(maps: dict[str, list[Idea]]) -> Iterable[tuple[str, str]]:
    keys = {map_id: frozenset(alike_title(idea.title) for idea in members) for map_id, members in maps.items()}
    classes = {map_id: {idea.label for idea in members} for map_id, members in maps.items()}
    identical: dict[Hashable, str] = {}
    holders: dict[str, list[str]] = defaultdict(list)
    for map_id, own in keys.items():
        for label in (*classes[map_id], None):  # None: of any class
            if len(own) >= (LEAST_IDEAS_ACROSS_CLASSES if label is None else LEAST_IDEAS):
                yield map_id, identical.setdefault((own, label), map_id)
        for key in own:
            holders[key].append(map_id)
    shared: Counter[tuple[str, str]] = Counter()
    for owners in holders.values():
        if len(owners) <= _COMMON:
            shared.update((one, other) for place, one in enumerate(owners) for other in owners[:place])
    for (one, other), count in shared.items():
        least = LEAST_IDEAS if classes[one] & classes[other] else LEAST_IDEAS_ACROSS_CLASSES
        if count >= least and count >= SAME_IDEAS * max(len(keys[one]), len(keys[other])):
            yield one, other
