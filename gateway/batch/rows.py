"""A file as it is scored: rows with their texts, a few thousand at a time, and the place where each such chunk ends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.batch.errors import UsageError
from gateway.encoding import Text
from repository.text_columns import MAPS_TEXTS, USUAL_TEXTS, joined_text

CHUNK_ROWS = 2048
"""Rows of a chunk: as many as are sorted by length together, and as are written at once. A chunk begins where the one
before ends, and ends by its own rows alone, so that a run that goes on cuts the rest as the first run would have."""
CHUNK_CHARACTERS = 2**22
"""A chunk ends early past so much text, which bounds memory where texts are long."""

Values = dict[str, Any]


class BrokenRowError(Exception):
    """A row that can't be scored; the message says why, without naming it."""


@dataclass(frozen=True)
class Place:
    """Where in a file reading goes on."""

    row: int = 0
    """Number of the last row before it, as errors name rows."""
    offset: int = 0
    """Bytes of UTF-8 before it; of Parquet nothing."""


@dataclass(frozen=True)
class Broken:
    """A row that has no answer."""

    number: int
    reason: str
    record: Any
    """What the file holds there."""


@dataclass
class Chunk:
    """Rows that follow each other."""

    rows: list[Values] = field(default_factory=list)
    """What the file holds, by column; to be written again."""
    numbers: list[int] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    end: Place = Place()
    read_bytes: int = 0
    """How much of the file had been read."""
    characters: int = 0
    most_rows: int = CHUNK_ROWS

    @property
    def is_full(self) -> bool:
        """Whether the next row belongs to another chunk."""
        return len(self.rows) + len(self.broken) >= self.most_rows or self.characters >= CHUNK_CHARACTERS

    def add(self, number: int, values: Values, text: Text) -> None:
        """Take one more row."""
        self.rows.append(values)
        self.numbers.append(number)
        self.texts.append(text)
        self.characters += len(text.first) + len(text.second or "")

    def without(self, places: Sequence[int], reason: Callable[[int], str]) -> list[int]:
        """Move the rows at these places to the broken ones; returns the places that are left."""
        gone = set(places)
        for place in places:
            self.broken.append(Broken(self.numbers[place], reason(place), self.rows[place]))
        self.broken.sort(key=lambda broken: broken.number)
        left = [place for place in range(len(self.rows)) if place not in gone]
        self.rows = [self.rows[place] for place in left]
        self.numbers = [self.numbers[place] for place in left]
        self.texts = [self.texts[place] for place in left]
        return left


class TableReader(Protocol):
    """One file of any kind."""

    unit: str
    """What a row is called."""
    columns: list[str]
    """All of its columns, in their order."""
    types: dict[str, Any]
    """The Arrow types of the columns that are no texts; of none where they are not known."""

    def chunks(self, start: Place, text_of: "TextColumns", rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows behind `start`, at most so many in a chunk.

        Raises:
            UsageError: it is no such table from some row on.
        """


@dataclass(frozen=True)
class TextColumns:
    """Which columns are the text, and which the second text of a pair."""

    first: tuple[str, ...]
    second: tuple[str, ...] = ()

    def text(self, values: Values) -> Text:
        """Return the text of a row. Raises BrokenRowError: it has none, or what is there is no text."""
        first = joined_text([_cell(values, name) for name in self.first])
        return Text(first, joined_text([_cell(values, name) for name in self.second]) if self.second else None)


def _cell(values: Values, name: str) -> str:
    try:
        value = values[name]
    except KeyError:
        raise BrokenRowError(f"has no {name}") from None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BrokenRowError(f"has {_described(value)} in {name}, where a text belongs")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BrokenRowError(f"has half of a surrogate pair in {name}, which is no character") from None
    return value


def _described(value: object) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return f"the value {str(value)[:40]}"


def text_columns(found: Sequence[str], first: Sequence[str], second: Sequence[str]) -> TextColumns:
    """Return the columns that were named, or those that training takes by itself.

    Raises:
        UsageError: the table lacks one, or has none of the usual ones.
    """
    listed = ", ".join(found)[:200] or "none"
    for name in (*first, *second):
        if name not in found:
            raise UsageError(f"there is no column {name}; there is {listed}.")
    if first:
        return TextColumns(tuple(first), tuple(second))
    if set(MAPS_TEXTS) <= set(found):
        return TextColumns(MAPS_TEXTS, tuple(second))
    usual = next((name for name in USUAL_TEXTS if name in found and name not in second), None)
    if usual is None:
        raise UsageError(
            f"no column is called {' or '.join(USUAL_TEXTS)}; name the column of the text with --text. "
            f"There is {listed}; of mind maps, {' and '.join(MAPS_TEXTS)} are needed."
        )
    return TextColumns((usual,), tuple(second))
