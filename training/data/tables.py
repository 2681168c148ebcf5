"""A file is read as rows of named columns, whatever its kind: CSV, TSV, JSON Lines, a JSON list, Parquet."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data.delimited import read_delimited
from training.data.examples import DataError
from training.data.file_text import GZIP_SUFFIX, KINDS, is_parquet, normal, read_content
from training.data.lookalikes import spelled_out
from training.data.records import Records, describe, read_json, read_parquet

_DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_DELIMITED, *_JSON, *_PARQUET)

# No text: NUL, and halves of a character that no encoding can write.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
# White space and byte order marks.
_BLANK = b"\x00\xef\xbb\xbf\xff\xfe \t\r\n"


@dataclass(frozen=True)
class Row:
    """One row: its number, as errors name it, and its fields in NFC."""

    number: int
    fields: dict[str, str]
    """Empty where a value is null; a column that is not needed in each row may be lacking."""
    value: Any = None
    """What the column holds that was asked for as it is: a text (in NFC), a number, a list of them, null."""


@dataclass(frozen=True)
class Table:
    """A file that was read; `rows` gives its contents."""

    path: Path
    sha256: str
    unit: str
    """What a row is called: "row", "line" or "item"."""
    columns: tuple[str, ...]
    _load: Callable[[Sequence[str]], Any]
    has_header: bool = False

    def rows(
        self,
        needed: Sequence[str],
        optional: Sequence[str] = (),
        ids: Sequence[str] = (),
        as_it_is: str | None = None,
    ) -> Iterator[Row]:
        """Yield each row's fields.

        Args:
            needed: columns that each row has to have; the table has them.
            optional: columns that are read where they are.
            ids: those among them in which a whole number stands for its digits.
            as_it_is: one of `needed` whose values are given whatever they are, not among the fields.

        Raises:
            DataError: a row lacks a column, or a value is no text.
        """
        names = [name for name in (*needed, *optional) if name in self.columns]
        for number, values in self._load(names):
            fields = {}
            for name in names:
                if name not in values:
                    if name in needed:
                        raise DataError(f"{self.path}: {self.unit} {number} has no {name}; each {self.unit} needs it.")
                elif name != as_it_is:
                    fields[name] = self._text(number, name, values[name], name in ids)
            value = values.get(as_it_is) if as_it_is else None
            yield Row(number, fields, self._checked(number, as_it_is, value) if isinstance(value, str) else value)

    def _text(self, number: int, name: str, value: Any, may_be_number: bool) -> str:
        if value is None:
            return ""
        if may_be_number and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise DataError(
                f"{self.path}: {self.unit} {number}, column {name}: {describe(value)}, where a text belongs."
            )
        return self._checked(number, name, value)

    def _checked(self, number: int, name: str | None, value: str) -> str:
        if found := _NO_TEXT.search(value):
            code = f"U+{ord(found.group()):04X}"
            raise DataError(f"{self.path}: {self.unit} {number}, column {name} holds {code}, which is no character.")
        return normal(value.lstrip("\ufeff"))


def suffix_of(path: Path) -> str:
    """Return the ending that names the kind of a file, in small letters, without `.gz`."""
    named = path.with_suffix("") if path.suffix.lower() == GZIP_SUFFIX else path
    return named.suffix.lower()


def holds_records(content: bytes) -> bool:
    """Whether text is JSON Lines, or a JSON list, of objects, by its beginning."""
    start = content.lstrip(_BLANK)
    if start[:1] not in (b"{", b"["):
        return False
    for part in (start.splitlines()[0], start):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):  # ValueError: no JSON, or no UTF-8
            continue
        return isinstance(found, dict) or (isinstance(found, list) and all(isinstance(one, dict) for one in found))
    return False


def read_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read the file at `path`, by its ending and its content.

    Args:
        path: of any kind; without an ending that names one, the content decides.
        wanted: columns by which the delimiter of a CSV file is told.

    Raises:
        DataError: it can't be read, or is no such table; the message names the row.
    """
    content = read_content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if not content.strip(_BLANK):
        raise DataError(f"{path} is empty; {KINDS} with the columns {', '.join(wanted)} is needed.")
    records = _records(path, content, wanted)
    _refuse_twins(path, records.columns)
    names = {name: _plain(name) for name in records.columns}

    def load(wanted_names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        own = [name for name in names if names[name] in wanted_names]
        for number, values in records.load(own):
            yield number, {names[name]: values[name] for name in own if name in values}

    return Table(path, sha256, records.unit, tuple(names.values()), load, records.has_header)


def _records(path: Path, content: bytes, wanted: Sequence[str]) -> Records:
    suffix = suffix_of(path)
    if suffix in _PARQUET or is_parquet(content):
        return read_parquet(path, content)
    if suffix in _JSON or (suffix not in _DELIMITED and holds_records(content)):
        return read_json(path, content)
    if holds_records(content):
        raise DataError(
            f"{path} holds JSON and is named {suffix}: call it .jsonl (an object a line) or .json (a list)."
        )
    lines = read_delimited(path, content, wanted, _DELIMITED.get(suffix, ","))
    if not lines:
        raise DataError(f"{path} is empty; {KINDS} with the columns {', '.join(wanted)} is needed.")
    header = lines[0].cells
    named = [place for place, name in enumerate(header) if _plain(name)]

    def load(_: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in lines[1:]:
            yield line.number, {header[place]: line.cells[place] for place in named}

    return Records("row", [header[place] for place in named], load, has_header=True)


def _plain(name: str) -> str:
    return " ".join(normal(name.replace("\ufeff", "")).split())


def _refuse_twins(path: Path, names: Sequence[str]) -> None:
    """Refuse two columns of one name, or of names that differ in capitals, blanks or the form of their letters."""
    first: dict[str, str] = {}
    for name in names:
        key = "".join(_plain(name).casefold().split())
        if key in first:
            twins = " and ".join(dict.fromkeys((spelled_out(first[key]), spelled_out(name))))
            raise DataError(f"{path}: the column {twins} stands twice; which of them is meant?")
        first[key] = name
