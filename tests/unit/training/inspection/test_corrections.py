"""A table of findings computes nothing in any spreadsheet, and what a person corrects in it is all that is changed."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest

from repository.manifest import ProblemType
from training.data.columns import Columns
from training.data.examples import DataError
from training.data.reading import read_file
from training.data.tables import Table, read_table
from training.inspection.corrections import _guarded, _plain, read_corrections, write_corrected

COLUMNS = Columns(("text",), "label")
HOSTILE = [
    "=1+1",
    "a;=cmd|' /C calc'!A0",
    'said "so";+1',
    "one line\n@SUM(A1)",
    "'=quoted already",
    ";'=and behind a semicolon",
    "\t-1",
    "； ＝1",
    "a - b = c",
    "Überblick; nächste",
]


def cells_of(text: str, delimiter: str) -> list[str]:
    """What a spreadsheet that separates by `delimiter` makes of a file; a quotation mark counts where a cell begins."""
    return [cell for row in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in row]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_whichever_way_a_country_separates(text: str, delimiter: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow(["maps.csv", 4, _guarded(text)])
    for cell in cells_of(file.getvalue(), delimiter):
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "|", "＝"))
    assert _plain(_guarded(text)) == text


def data_of(path: Path, labels: list[str]) -> Table:
    rows = "".join(f"text {number},{label}\n" for number, label in enumerate(labels))
    path.write_text(f"text,label\n{rows}", encoding="utf-8")
    return read_table(path, ("text", "label"))


def corrections_of(path: Path, *rows: tuple[object, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "row", "label", "given", "suggested"), *rows])
    return path


def test_a_label_that_a_spreadsheet_made_a_number_of_is_no_correction(tmp_path: Path) -> None:
    data = data_of(tmp_path / "d.csv", ["007", "008", "x"])
    # 007 became 7 in both columns; the label of the last row alone was changed by a person.
    table = corrections_of(tmp_path / "m.csv", (data.path, 2, 7, 7, "x"), (data.path, 4, "007", "x", "007"))
    found = read_corrections(table, ProblemType.SINGLE_LABEL)
    ((path, changed, left_out),) = write_corrected([data], COLUMNS, found, tmp_path / "out")
    assert (changed, left_out) == (1, 0)
    assert [one.target for one in read_file(path).examples] == ["007", "008", "007"]


def test_the_data_itself_is_never_written_over(tmp_path: Path) -> None:
    first = data_of(tmp_path / "d.csv", ["a", "b"])
    ((path, *_),) = write_corrected([first], COLUMNS, {(str(first.path), 2): "b"}, tmp_path)
    before = path.read_bytes()
    second = read_table(path, ("text", "label"))
    ((again, *_),) = write_corrected([second], COLUMNS, {(str(path), 1): "a"}, tmp_path)
    assert path.read_bytes() == before
    assert [one.target for one in read_file(again).examples] == ["a", "b"]


def test_two_files_of_one_name_stay_two(tmp_path: Path) -> None:
    tables = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        tables.append(data_of(tmp_path / name / "d.csv", [name, "b"]))
    written = write_corrected(tables, COLUMNS, {}, tmp_path / "out")
    assert [read_file(path).examples[0].target for path, *_ in written] == ["one", "other"]


def test_a_correction_of_no_row_writes_nothing(tmp_path: Path) -> None:
    data = data_of(tmp_path / "d.csv", ["a", "b"])
    with pytest.raises(DataError, match=r"has no row 99 that could be corrected"):
        write_corrected([data], COLUMNS, {(str(data.path), 99): "a"}, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_decimal_numbers_stay_the_same_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers = [Decimal("1.50"), Decimal("2.25")]
    parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": numbers}), tmp_path / "d.parquet")
    data = read_table(tmp_path / "d.parquet", ("text", "label"))
    ((path, *_),) = write_corrected([data], COLUMNS, {(str(data.path), 2): 3.0}, tmp_path / "out")
    assert [one.target for one in read_file(path).examples] == [1.5, 3.0]
