"""What kind of file is it? Its name says so, or an option where it has none."""

from enum import StrEnum
from pathlib import Path

from gateway.batch.errors import UsageError

STREAM = Path("-")
"""Stands for standard input or standard output."""
_GZIP = ".gz"


class Format(StrEnum):
    """Kinds of tables that are read and written."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def delimiter(self) -> str:
        """Between the fields of a row, where the kind has one."""
        return "\t" if self is Format.TSV else ","


_BY_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}


def format_of(path: Path, said: Format | None, option: str) -> Format:
    """Return what `said` names, or the ending of `path`.

    Raises:
        UsageError: neither names a kind, or it is one that can't be streamed or packed.
    """
    named = path.with_suffix("") if is_packed(path) else path
    found = said or _BY_SUFFIX.get(named.suffix.lower())
    if found is None:
        raise UsageError(
            f"{path}: its name doesn't say what it is; end it in .csv, .tsv, .jsonl or .parquet, or give {option}."
        )
    if found is Format.PARQUET and path == STREAM:
        raise UsageError("Parquet is read and written from its end, which a stream has not: name a file.")
    if found is Format.PARQUET and is_packed(path):
        raise UsageError(f"{path}: Parquet is packed already; leave .gz away (or unpack it by gunzip).")
    return found


def is_packed(path: Path) -> bool:
    """Whether a file is, or is to be, packed by gzip."""
    return path.suffix.lower() == _GZIP
