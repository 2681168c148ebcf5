"""Which columns of a table are the text, the label and the group; what the label is: a class, several, a number."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from repository.manifest import ProblemType
from repository.text_columns import MAPS_TEXTS, USUAL_TEXTS
from training.data.examples import DataError

# Where no column is named, those of these names are looked for, the first that a table has.
USUAL_LABELS = ("label", "labels", "category")
# A table with so many of the columns of mind maps is meant as one; if it lacks another, that is said.
LEAST_COLUMNS_OF_MAPS = 2

TASKS = {
    "single": ProblemType.SINGLE_LABEL,
    "multi": ProblemType.MULTI_LABEL,
    "regression": ProblemType.REGRESSION,
}
"""What a label can be, by the name that the command line has for it."""


@dataclass(frozen=True)
class Columns:
    """The columns that are read of a table; others are not looked at."""

    text: tuple[str, ...]
    """Joined by a space. The first must not be empty."""
    label: str
    group: str | None = None
    """Rows of one value here are never in two splits."""
    group_title: str | None = None
    """The one of `text` that all rows of a group share."""
    language: str | None = None
    separator: str | None = None
    """Between the labels of one row, where several can be true and stand in one text."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a table must have."""
        return tuple(dict.fromkeys((*self.text, self.label, *([self.group] if self.group else []))))

    @property
    def unit(self) -> str:
        """What is kept together in a split, in words: rows of no group are kept together with copies of their text."""
        return "maps" if self.group == MAPS.group else "groups" if self.group else "texts"

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Columns":
        """Read what `as_json` gave.

        Raises:
            TypeError: it is something else.
        """
        read = cls(**found)
        names = (*read.text, read.label, read.group, read.group_title, read.language, read.separator)
        if not isinstance(read.text, list | tuple) or not all(name is None or isinstance(name, str) for name in names):
            raise TypeError("names of columns are needed")
        return replace(read, text=tuple(read.text))


MAPS = Columns(
    text=MAPS_TEXTS,
    label="map_category_name",
    group="map_id",
    group_title="map_title",
    language="language",
)
"""Mind maps: an idea is a row, a map is a group."""


def is_maps(found: Sequence[str]) -> bool:
    """Whether a table with these columns holds mind maps."""
    return set(MAPS.needed) <= set(found)


@dataclass(frozen=True)
class Wanted:
    """What was said of a table: columns by name, and what its labels are. What is None is found out."""

    text: tuple[str, ...] = ()
    label: str | None = None
    group: str | None = None
    language: str | None = None
    separator: str | None = None
    task: ProblemType | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which a table's header is known: those that were given, or the usual ones."""
        if self.text or self.label:
            return (*self.text, *([self.label] if self.label else []), *([self.group] if self.group else []))
        return (*MAPS.needed, *USUAL_TEXTS, *USUAL_LABELS)


def choose_columns(found: Sequence[str], wanted: Wanted) -> Columns:
    """Return the columns that were named; else those of mind maps, or the usual ones, whichever a table is nearer to.

    Args:
        found: all that the table has.
        wanted: what was named.

    Raises:
        DataError: none is named and the table has none of the usual ones, or one is both text and label.
    """
    group, language, separator = wanted.group, wanted.language, wanted.separator
    if not wanted.text and not wanted.label and len(set(MAPS.needed) & set(found)) >= LEAST_COLUMNS_OF_MAPS:
        return replace(MAPS, group=group or MAPS.group, language=language or MAPS.language, separator=separator)
    text = wanted.text or _usual(found, USUAL_TEXTS, "--text", "the text")
    label = wanted.label or _usual(found, USUAL_LABELS, "--label", "the label")[0]
    if language is None and "language" in found and "language" not in (*text, label):
        language = "language"
    if label in text:
        raise DataError(f"the column {label} is named as text and as label; a model would only copy it.")
    return Columns(text, label, group, None, language, separator)


def listed(names: Sequence[str]) -> str:
    """Return the names of a table's columns, cut where they are many."""
    found = ", ".join(names) or "none"
    return f"{found[:200]} ..." if len(found) > 200 else found


def _usual(found: Sequence[str], names: Sequence[str], option: str, what: str) -> tuple[str]:
    name = next((name for name in names if name in found), None)
    if name is None:
        raise DataError(
            f"no column is called {' or '.join(names)}; name the column of {what} with {option}. "
            f"There is {listed(found)}; of mind maps, {', '.join(MAPS.needed)} are needed."
        )
    return (name,)
