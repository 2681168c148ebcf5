"""`training/data`: any file is a table or one known error; CSV is read as Python's strict `csv` reads it.

Input: a byte for the file's ending, then its content.
"""

import tempfile
from pathlib import Path

from tests.fuzz.table_bytes import CSV_WORDS, JSON_WORDS, plain_text, readings, written
from training.data.delimited import read_delimited
from training.data.examples import DataError
from training.data.file_text import normal
from training.data.reading import read_file
from training.data.tables import read_table

FILES = (
    "training/data/delimited.py",
    "training/data/file_text.py",
    "training/data/reading.py",
    "training/data/records.py",
    "training/data/tables.py",
    "training/data/targets.py",
    "repository/strict_json.py",
)
WORDS = (*CSV_WORDS, *JSON_WORDS, b"PAR1")
ENDINGS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", "", ".csv.gz")
WANTED = ("text", "label")
_folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def check(data: bytes) -> None:
    """Raises AssertionError: a reader breaks a promise."""
    path = Path(_folder.name, "table" + ENDINGS[data[0] % len(ENDINGS)] if data else "table")
    content = data[1:]
    path.write_bytes(content)
    fault = None
    try:
        table = read_table(path, WANTED)
        for row in table.rows(table.columns[:1], table.columns[1:]):
            assert row.number > 0
        read_file(path)
    except DataError as error:
        fault = str(error)
    assert fault is None or str(path) in fault
    _as_python_reads_it(content)
    _what_is_written_is_read(plain_text(content))


def _as_python_reads_it(content: bytes) -> None:
    try:
        lines = read_delimited(Path("table.csv"), content, WANTED)
        text = content.decode().lstrip("\ufeff")
    except (DataError, UnicodeDecodeError):
        return
    if text.lstrip()[:5].lower().lstrip('"').startswith("sep="):
        return  # no row of the table, which `csv` does not know
    found = [line.cells for line in lines]
    wide = len(found[0]) if found else 0
    for rows in readings(text):
        rows = [[cell.lstrip("\ufeff") for cell in row] for row in rows]
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        if found == [[*row[:wide], *[""] * (wide - len(row))] for row in rows]:
            return
    raise AssertionError(f"no reading by csv gives {found}")


def _what_is_written_is_read(text: str) -> None:
    """A table that is quoted as it must be, comes back whole: texts with any line breaks, quotation marks, commas."""
    texts = [part for part in text.split("\x1e") if part.strip()]
    rows = [["text", "label"], *([part, str(number)] for number, part in enumerate(texts))]
    for delimiter, line_end in ((",", "\n"), (";", "\r\n"), ("\t", "\r")):
        content = written(rows, delimiter, line_end).encode()
        try:
            lines = read_delimited(Path("table.csv"), content, WANTED)
        except DataError as error:
            raise AssertionError(str(error)) from error
        assert [[normal(cell) for cell in line.cells] for line in lines] == [[normal(each) for each in r] for r in rows]
