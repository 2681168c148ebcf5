"""Where do texts come from: arguments, standard input, a file? One row after another."""

import codecs
import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from text_classifier.classify.errors import UsageError

STREAM = Path("-")
MOST_CHARACTERS = 16_777_216
"""Of one line; what is longer is no line of a text file."""
_PIECE = 65_536


class Kind(StrEnum):
    """Kinds of input."""

    TXT = "txt"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"


_BY_SUFFIX = {".csv": Kind.CSV, ".tsv": Kind.TSV, ".tab": Kind.TSV, ".jsonl": Kind.JSONL, ".ndjson": Kind.JSONL}


@dataclass(frozen=True)
class Row:
    """One text, and what it came with."""

    place: str
    """What errors call it, such as `line 7`."""
    text: str
    fields: dict[str, Any]
    """What it came with, by column; the text alone where there are no columns."""

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to be asked."""
        return not self.text or self.text.isspace()


def of_arguments(texts: Sequence[str]) -> Iterator[Row]:
    """A row for each argument."""
    for number, text in enumerate(texts, start=1):
        yield Row(f"text {number}", text, {"text": text})


def kind_of(path: Path, said: Kind | None) -> Kind:
    """What `said` names, or the file's ending does; lines of text else."""
    return said or _BY_SUFFIX.get(path.suffix.lower(), Kind.TXT)


def of_file(descriptor: int, kind: Kind, columns: Sequence[str], read: Callable[[int], None]) -> Iterator[Row]:
    """The rows of a file.

    Args:
        descriptor: of the file, or 0 for standard input. It is read without Python's buffers, whose locks a thread
            that waits for input would hold when the program ends.
        kind: what it holds.
        columns: that the text is joined of, by a space; the usual ones if there are none.
        read: told how many bytes were read.

    Raises:
        UsageError: it is not what it should be, or has no such column.
    """
    lines = _lines(descriptor, read)
    if kind is Kind.TXT:
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            yield Row(f"line {number}", text, {"text": text})
    elif kind is Kind.JSONL:
        yield from _objects(lines, columns)
    else:
        yield from _records(lines, "\t" if kind is Kind.TSV else ",", columns)


def _lines(descriptor: int, read: Callable[[int], None]) -> Iterator[str]:
    """With their ends. A byte order mark is no part of the first one."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    parts: list[str] = []  # of a line whose end did not come yet
    length = number = 0
    while True:
        piece = os.read(descriptor, _PIECE)
        read(len(piece))
        try:
            first, *others = decoder.decode(piece, final=not piece).split("\n")
        except UnicodeDecodeError:
            raise UsageError(f"after line {number}: the input is not UTF-8; convert it, as by iconv -t utf-8") from None
        parts.append(first)
        length += len(first)
        if length > MOST_CHARACTERS:
            raise UsageError(f"line {number + 1} is longer than {MOST_CHARACTERS} characters")
        if others:
            *whole, rest = others
            for line in ("".join(parts), *whole):
                number += 1
                yield line + "\n"
            parts, length = [rest], len(rest)
        if not piece:
            if length:
                yield "".join(parts)
            return


def _objects(lines: Iterator[str], columns: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"{place} is no JSON") from None
        if isinstance(found, str):
            found = {"text": found}
        if not isinstance(found, dict):
            raise UsageError(f"{place} is neither an object nor a text")
        yield Row(place, _joined(found, columns or _usual(list(found)), place), found)


def _records(lines: Iterator[str], delimiter: str, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise UsageError("the header names a column twice")
        chosen = columns or _usual(header)
        for values in reader:
            place = f"line {reader.line_num}"
            if not values:
                continue
            if len(values) > len(header):
                raise UsageError(f"{place} has {len(values)} fields, the header {len(header)}")
            fields = dict(zip(header, values + [""] * (len(header) - len(values)), strict=True))
            yield Row(place, _joined(fields, chosen, place), fields)
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num}: {error}") from None


def _usual(names: Sequence[str]) -> list[str]:
    if {"idea_title", "map_title"} <= set(names):
        return ["idea_title", "map_title"]
    for name in ("text", "sentence"):
        if name in names:
            return [name]
    if len(names) == 1:
        return list(names)
    raise UsageError(f"which column holds the text? Give --text, one of {', '.join(names)[:200]}")


def _joined(fields: dict[str, Any], columns: Sequence[str], place: str) -> str:
    parts = []
    for column in columns:
        if column not in fields:
            raise UsageError(f"{place} has no {column!r}; it has {', '.join(map(str, fields))[:200]}")
        value = fields[column]
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{place}: {column!r} is no text")
        parts.append(value or "")
    return " ".join(part for part in parts if part)
