"""The same table of texts in every format that training reads."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet

from training.data.columns import Wanted

Rows = list[dict[str, Any]]
WANTED = Wanted(("text",), "label", "author")
"""Which of its columns are meant."""


def rows_of(count: int = 8) -> Rows:
    """So many texts of each of two labels, two of an author."""
    return [
        {"text": f"text {number} of {label}", "label": label, "author": f"{label}{number // 2}"}
        for label in ("good", "bad")
        for number in range(count)
    ]


def write_delimited(path: Path, rows: Rows, delimiter: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["text", "label", "author"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_list(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def table_of(rows: Rows, kind: str = "plain") -> Any:
    names = list(rows[0]) if rows else ["text", "label", "author"]
    columns = {name: pyarrow.array([row.get(name) for row in rows]) for name in names}
    if not rows:
        columns = {name: pyarrow.array([], pyarrow.string()) for name in names}
    if kind != "plain":
        for name, values in columns.items():
            if pyarrow.types.is_string(values.type):
                columns[name] = values.cast(pyarrow.large_string()) if kind == "large" else values.dictionary_encode()
    return pyarrow.table(columns)


def write_parquet(path: Path, rows: Rows, kind: str = "plain") -> Path:
    pyarrow.parquet.write_table(table_of(rows, kind), path)
    return path


def write_packed(path: Path, rows: Rows) -> Path:
    path.write_bytes(gzip.compress(write_delimited(path.with_suffix(".plain"), rows, ",").read_bytes()))
    return path


def write_saved(path: Path, rows: Rows) -> Path:
    datasets.Dataset(table_of(rows)).save_to_disk(str(path))
    return path


def write_dictionary(path: Path, rows: Rows) -> Path:
    datasets.DatasetDict({"train": datasets.Dataset(table_of(rows))}).save_to_disk(str(path))
    return path


def write_hub_layout(path: Path, rows: Rows, suffix: str) -> Path:
    (path / "data").mkdir(parents=True)
    file = path / "data" / f"train-00000-of-00001.{suffix}"
    if suffix == "csv":
        write_delimited(file, rows, ",")
    else:
        write_parquet(file, rows)
    return path


FORMATS: dict[str, Callable[[Path, Rows], Path]] = {
    "csv": lambda folder, rows: write_delimited(folder / "d.csv", rows, ","),
    "tsv": lambda folder, rows: write_delimited(folder / "d.tsv", rows, "\t"),
    "packed": lambda folder, rows: write_packed(folder / "d.csv.gz", rows),
    "lines": lambda folder, rows: write_lines(folder / "d.jsonl", rows),
    "list": lambda folder, rows: write_list(folder / "d.json", rows),
    "parquet": lambda folder, rows: write_parquet(folder / "d.parquet", rows),
    "large strings": lambda folder, rows: write_parquet(folder / "d.parquet", rows, "large"),
    "dictionary columns": lambda folder, rows: write_parquet(folder / "d.parquet", rows, "dictionary"),
    "saved": lambda folder, rows: write_saved(folder / "d", rows),
    "saved splits": lambda folder, rows: write_dictionary(folder / "d", rows),
    "hub, csv": lambda folder, rows: write_hub_layout(folder / "d", rows, "csv"),
    "hub, parquet": lambda folder, rows: write_hub_layout(folder / "d", rows, "parquet"),
}
