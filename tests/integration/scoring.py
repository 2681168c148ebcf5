"""A file of texts in any of the kinds that `python -m gateway.batch` takes, and the command itself."""

import csv
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from gateway.batch.__main__ import cli
from tests.integration.stack import Stack

WORDS = {"aprende": "Education", "pan": "Food", "huerto": "Home"}
"""What the scoring model knows."""


def score(stack: Stack, *arguments: object, **settings: str) -> tuple[int, str]:
    """Run the command in this process, on the stack's Triton; its status and what it said."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**stack.env, **settings}.items():
            environment.setenv(name, value)
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    return done.exit_code, done.output


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gateway.batch", *map(str, arguments)]


def write_rows(path: Path, texts: list[str]) -> Path:
    """A file of the kind that its name says, with a column before the text and a column behind."""
    rows = [{"id": str(number), "text": text, "note": "a|b"} for number, text in enumerate(texts)]
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as stream:
        if ".jsonl" in path.name:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="\t" if ".tsv" in path.name else ",")
            table.writeheader()
            table.writerows(rows)
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
        if ".jsonl" in path.name:
            return [json.loads(line) for line in stream]
        return list(csv.DictReader(stream, delimiter="\t" if ".tsv" in path.name else ","))
