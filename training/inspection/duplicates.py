"""Which texts are the same, or nearly? Near ones share most of their shingles, and are found by MinHash.

Broder (1997), "On the resemblance and containment of documents": the share of equal minima of random orders of two
sets estimates their Jaccard similarity. Signatures are cut into bands, texts with an equal band are candidates
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4), and candidates are compared exactly.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.lookalikes import alike_title

# Characters of a shingle, blanks included: long enough that two texts of one subject share few.
SHINGLE = 4
# Jaccard similarity of the shingles from which two texts are near duplicates: one word of ten changed.
NEAR = 0.75
# Texts under this many characters differ by a whole word if they differ at all; only equal spelling joins them.
SHORTEST = 20
_BANDS, _ROWS = 20, 4
# Two texts as alike as NEAR share a band with a probability of 1 - (1 - 0.75 ** 4) ** 20 = 0.9995.
_CHUNK = 2048
# Texts of one band that are compared with the first of them alone beyond this number: a template has many copies.
_CROWD = 32
_PRIME = (1 << 31) - 1


@dataclass(frozen=True)
class Duplicates:
    """Places of texts, group by group, each group sorted and of two or more."""

    exact: list[list[int]]
    """The same character by character."""
    near: list[list[int]]
    """Not all the same, but spelled alike (capitals, punctuation, blanks) or of mostly the same shingles."""


def find_duplicates(
    texts: Sequence[str], advance: Callable[[int], object] = lambda _: None, own: Sequence[str] | None = None
) -> Duplicates:
    """Group texts that are the same and those that are nearly; in time that grows with their number, not its square.

    Args:
        texts: any number.
        advance: told how many texts are done, all in all as many as there are.
        own: of each text the part that it does not share with a group, which has to be nearly the same too.
    """
    by_text: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        by_text[text].append(place)
    distinct = list(by_text)
    joined = _Union(len(distinct))
    keys = [alike_title(text) for text in distinct]
    first: dict[str, int] = {}
    for number, key in enumerate(keys):
        joined.join(number, first.setdefault(key, number))
    alone = [number for key, number in first.items() if len(key) >= SHORTEST]
    advance(len(texts) - len(alone))
    for one, other in _candidates([keys[number] for number in alone], advance):
        a, b = alone[one], alone[other]
        if joined.root(a) == joined.root(b) or similarity(keys[a], keys[b]) < NEAR:
            continue
        first_own, second_own = (own[by_text[distinct[number]][0]] for number in (a, b)) if own else ("", "")
        if first_own == second_own or similarity(alike_title(first_own), alike_title(second_own)) >= NEAR:
            joined.join(a, b)
    near = [sorted(place for number in group for place in by_text[distinct[number]]) for group in joined.groups()]
    exact = [places for places in by_text.values() if len(places) > 1]
    return Duplicates(sorted(exact), sorted(near))


def shingles(text: str) -> frozenset[str]:
    """All runs of SHINGLE characters."""
    return frozenset(text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1)))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts' shingles, in 0 to 1."""
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def _candidates(keys: Sequence[str], advance: Callable[[int], object]) -> Iterator[tuple[int, int]]:
    """Yield pairs of places whose signatures have a band in common."""
    random = np.random.default_rng(0)
    factors = random.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.uint64)
    offsets = random.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.uint64)
    signatures = np.empty((len(keys), _BANDS), dtype=np.uint64)
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        signatures[start : start + len(chunk)] = _bands(chunk, factors, offsets)
        advance(len(chunk))
    for band in range(_BANDS):
        order = np.argsort(signatures[:, band], kind="stable")
        values = signatures[order, band]
        borders = np.flatnonzero(np.diff(values)) + 1
        for crowd in np.split(order, borders):
            if len(crowd) < 2:
                continue
            places = sorted(map(int, crowd))
            for index, one in enumerate(places[1:], start=1):
                for other in places[: min(index, 1 if len(places) > _CROWD else index)]:
                    yield one, other


def _bands(texts: Sequence[str], factors: Any, offsets: Any) -> Any:
    """Return a hash of each band of each text's MinHash signature, UINT64 `[texts, bands]`."""
    hashed = [np.unique(_hashes(text)) for text in texts]
    starts = np.cumsum([0, *map(len, hashed)])[:-1]
    together = np.concatenate(hashed)
    minima = np.empty((len(texts), len(factors)), dtype=np.uint64)
    for number, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        minima[:, number] = np.minimum.reduceat((together * factor + offset) % _PRIME, starts)
    banded = np.zeros((len(texts), _BANDS), dtype=np.uint64)
    for row in range(_ROWS):
        banded = banded * np.uint64(0x9E3779B97F4A7C15) + minima[:, row::_ROWS]  # overflow is meant: it is a hash
    return banded


def _hashes(text: str) -> Any:
    """Return a number below 2 ** 31 for each shingle (a polynomial over its code points)."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE:
        codes = np.pad(codes, (0, SHINGLE - len(codes)))
    found = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for place in range(SHINGLE):
        found = (found * np.uint64(1_000_003) + codes[place : place + len(found)]) % _PRIME
    return found


class _Union:
    """Sets of numbers that grow together."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, one: int) -> int:
        while (parent := self._parent[one]) != one:
            self._parent[one] = self._parent[parent]
            one = parent
        return one

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)

    def groups(self) -> list[list[int]]:
        members: dict[int, list[int]] = defaultdict(list)
        for one in range(len(self._parent)):
            members[self.root(one)].append(one)
        return [group for group in members.values() if len(group) > 1]
