"""Ideas are read from a table of mind maps: any line break in a title, a clear error for each way a file is bad."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.ideas import DataError, Idea, fold_white_space, read_label
from training.tables import Table, read_table

REQUIRED_COLUMNS = ("map_id", "map_title", "map_category_name", "idea_title")
# A map without a title still gives sentences; a row without one of these gives none.
NEEDED_IN_EACH_ROW = ("map_id", "map_category_name", "idea_title")
LANGUAGE_COLUMN = "language"


@dataclass(frozen=True)
class MapsFile:
    """What a file holds: its ideas, and the rows that gave none."""

    path: Path
    sha256: str
    ideas: tuple[Idea, ...]
    skipped: dict[str, int]
    """Rows left out, counted by the column that was empty in them."""


def read_maps_csv(path: Path) -> MapsFile:
    """Read every idea of the file at `path`, CSV or of another kind that `training.tables` knows.

    Rows in error messages are counted as a spreadsheet shows them: the header is row 1.

    Raises:
        DataError: not a readable table, a column is missing, or no row has all that an idea needs.
    """
    return ideas_of(read_table(path, REQUIRED_COLUMNS))


def is_maps(columns: Sequence[str]) -> bool:
    """Whether a table with these columns holds mind maps."""
    return set(REQUIRED_COLUMNS) <= set(columns)


def ideas_of(table: Table) -> MapsFile:
    """Return the ideas of a table of mind maps.

    Raises:
        DataError: a column is missing, or no row has all that an idea needs.
    """
    _check_columns(table)
    ideas: list[Idea] = []
    skipped: Counter[str] = Counter()
    first_skipped: dict[str, int] = {}
    for row in table.rows(REQUIRED_COLUMNS, (LANGUAGE_COLUMN,), ids=("map_id",)):
        fields = {name: fold_white_space(text) for name, text in row.fields.items()}
        try:
            fields["map_category_name"] = read_label(row.fields["map_category_name"])
        except DataError as error:
            raise DataError(f"{table.path}: {table.unit} {row.number}: {error}") from None
        empty = next((name for name in NEEDED_IN_EACH_ROW if not fields[name]), None)
        if empty is None:
            ideas.append(_idea(fields))
        elif any(fields.values()):
            skipped[empty] += 1
            first_skipped.setdefault(empty, row.number)
    if not ideas:
        raise _nothing_usable(table, skipped, first_skipped)
    return MapsFile(table.path, table.sha256, tuple(ideas), dict(skipped))


def _idea(fields: dict[str, str]) -> Idea:
    return Idea(
        map_id=fields["map_id"],
        map_title=fields["map_title"],
        sentence=fold_white_space(f"{fields['idea_title']} {fields['map_title']}"),
        label=fields["map_category_name"],
        language=fields.get(LANGUAGE_COLUMN) or None,
    )


def _check_columns(table: Table) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in table.columns]
    if not missing:
        return
    found = ", ".join(table.columns) or "none"
    plural = "s" if len(missing) > 1 else ""
    where = "row 1, the header, lacks" if table.has_header else f"no {table.unit} has"
    raise DataError(
        f"{table.path}: {where} the column{plural} {', '.join(missing)}; "
        f"it has {found[:200] + ' ...' if len(found) > 200 else found}."
    )


def _nothing_usable(table: Table, skipped: Counter[str], first_skipped: dict[str, int]) -> DataError:
    if not skipped:
        below = "a header and no row below it" if table.has_header else f"no {table.unit}"
        return DataError(f"{table.path} has {below}; each idea of a map is one row.")
    column, count = skipped.most_common(1)[0]
    return DataError(
        f"{table.path}: no row can be used; column {column} is empty in {count} of {skipped.total()} rows, "
        f"first in {table.unit} {first_skipped[column]}."
    )
