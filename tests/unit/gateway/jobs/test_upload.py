"""Rows are counted while a table comes, however it is cut into pieces."""

import csv
import io
import random

import pytest

from gateway.jobs.upload import RowCount


def counted(table: bytes, is_delimited: bool, piece: int) -> int | None:
    count = RowCount(is_delimited)
    for begin in range(0, len(table), piece):
        count.feed(table[begin : begin + piece])
    return count.total()


def some_table(seed: int) -> tuple[bytes, int]:
    chance = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=chance.choice(["\n", "\r\n"]))
    rows = chance.randint(0, 40)
    writer.writerow(["text", "other"])
    for _ in range(rows):
        writer.writerow(["".join(chance.choices('ab",\n ñ', k=chance.randint(1, 12))), "x"])
    return text.getvalue().encode(), rows


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_csv_is_counted_as_it_is_read(seed: int, piece: int) -> None:
    table, rows = some_table(seed)
    assert counted(table, True, piece) == rows
    if rows:
        assert counted(table.rstrip(b"\r\n"), True, piece) == rows


@pytest.mark.parametrize(("table", "rows"), [(b"", 0), (b"{}", 1), (b"{}\n", 1), (b'{"a": "\\""}\n{}', 2)])
def test_lines_are_counted(table: bytes, rows: int) -> None:
    assert counted(table, False, 3) == rows


@pytest.mark.parametrize("table", [b"\x1f\x8b\x08\x00", b"\xff\xfea\x00"])
def test_what_is_packed_or_wide_is_not_counted(table: bytes) -> None:
    assert counted(table, True, 100) is None
