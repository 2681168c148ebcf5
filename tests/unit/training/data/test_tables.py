"""What is read is what was meant, whatever wrote the file; else one line says where it is wrong and how."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from training.data.examples import DataError
from training.data.reading import read_file

pyarrow = pytest.importorskip("pyarrow")
parquet_files = pytest.importorskip("pyarrow.parquet")

COLUMNS = ("map_id", "map_title", "map_category_name", "idea_title")
HEADER = ",".join(COLUMNS) + "\n"
ROW = "1,Trip,Life,Ideas\n"
RECORD = {"map_id": 1, "map_title": "Trip", "map_category_name": "Life", "idea_title": "Ideas"}


def read(path: Path, content: bytes | str) -> list[tuple[str, str, str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(one.group, one.group_title, str(one.target), one.own_text) for one in read_file(path).examples]


def parquet(path: Path, **columns: Any) -> bytes:
    table = {name: [value] for name, value in RECORD.items()} | columns
    parquet_files.write_table(pyarrow.table(table), path)
    return path.read_bytes()


# --- the same table, as many programs write it -------------------------------------------------------------------

TABLE = HEADER + ROW
SAME = {
    "a mark": ("maps.csv", b"\xef\xbb\xbf" + TABLE.encode()),
    "two marks": ("maps.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + TABLE.encode()),
    "a mark within the first name": ("maps.csv", '"\ufeffmap_id"' + TABLE[6:]),
    "UTF-16, little end first": ("maps.csv", b"\xff\xfe" + TABLE.encode("utf-16-le")),
    "UTF-16, big end first": ("maps.csv", b"\xfe\xff" + TABLE.encode("utf-16-be")),
    "Excel's Unicode text": ("maps.txt", TABLE.replace(",", "\t").replace("\n", "\r\n").encode("utf-16")),
    "Excel's sep=,": ("maps.csv", "sep=,\r\n" + TABLE),
    "Excel's sep=;": ("maps.csv", "sep=;\r\n" + TABLE.replace(",", ";")),
    "sep=; in quotation marks": ("maps.csv", '"sep=;"\n' + TABLE.replace(",", ";")),
    "Excel where a comma is the decimal point": ("maps.csv", TABLE.replace(",", ";")),
    "tabs": ("maps.csv", TABLE.replace(",", "\t")),
    "TSV": ("maps.tsv", TABLE.replace(",", "\t")),
    "empty lines before and after": ("maps.csv", "\n\n,,,\n" + TABLE + "\n,,,\n\n"),
    "empty columns": ("maps.csv", "map_id,map_title,map_category_name,idea_title,,\n1,Trip,Life,Ideas,,\n"),
    "fields past the last column": ("maps.csv", HEADER + "1,Trip,Life,Ideas,,\n"),
    "line ends of Windows": ("maps.csv", TABLE.replace("\n", "\r\n")),
    "line ends of an old Mac": ("maps.csv", TABLE.replace("\n", "\r")),
    "blanks before quotation marks": (
        "maps.csv",
        'map_id, map_title, map_category_name, idea_title\n1, "Trip", Life, Ideas',
    ),
    "gzip": ("maps.csv.gz", gzip.compress(TABLE.encode())),
    "JSON Lines": ("maps.jsonl", json.dumps(RECORD) + "\n\n"),
    "JSON Lines with text for an id": ("maps.ndjson", json.dumps(RECORD | {"map_id": "1", "map_rating": 3.5})),
    "a JSON list": ("maps.json", json.dumps([RECORD], indent=2)),
    "JSON Lines, packed": ("maps.jsonl.gz", gzip.compress(json.dumps(RECORD).encode())),
}


@pytest.mark.parametrize("name", SAME)
def test_a_table_is_the_same_whatever_wrote_it(tmp_path: Path, name: str) -> None:
    file, content = SAME[name]
    assert read(tmp_path / file, content) == [("1", "Trip", "Life", "Ideas")]


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_parquet_reads_the_same_by_name_or_by_content(tmp_path: Path, kind: str) -> None:
    titles = pyarrow.array(["Ideas"], pyarrow.large_string() if kind == "large_string" else pyarrow.string())
    content = parquet(tmp_path / "t", idea_title=titles.dictionary_encode() if kind == "dictionary" else titles)
    for file in ("maps.parquet", "maps.csv"):
        assert read(tmp_path / file, content) == [("1", "Trip", "Life", "Ideas")]


def test_line_separators_within_a_field_split_no_row(tmp_path: Path) -> None:
    title = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"
    assert read(tmp_path / "a.csv", f"{HEADER}1,Trip,Life,{title}\n") == [("1", "Trip", "Life", "a b c d e f g")]
    record = json.dumps(RECORD | {"idea_title": title}, ensure_ascii=False)
    assert read(tmp_path / "a.jsonl", record) == [("1", "Trip", "Life", "a b c d e f g")]


def test_quotation_marks_that_are_written_as_they_must_be_are_read(tmp_path: Path) -> None:
    rows = '1,"say ""hi"", now",Life,"C:\\"\n2,5" disk,Life,"{\\""a\\"": 1}"\n'
    assert read(tmp_path / "a.csv", HEADER + rows) == [
        ("1", 'say "hi", now', "Life", "C:\\"),
        ("2", '5" disk', "Life", '{\\"a\\": 1}'),
    ]


def test_texts_are_in_one_normal_form(tmp_path: Path) -> None:
    rows = "1,Cafe\u0301,Mu\u0301sica,e\u0301\n1,Café,Música,é\n"
    assert len(set(read(tmp_path / "a.csv", HEADER + rows))) == 1


def test_a_null_is_an_empty_field(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(RECORD | {"idea_title": t}) for t in ("x", None)))
    assert read_file(tmp_path / "a.jsonl").skipped == {"idea_title": 1}


# --- refused, with the place -------------------------------------------------------------------------------------

NAMES = HEADER.strip()
REFUSED = {
    "a name twice": ("a.csv", f"{NAMES},map_title\n1,a,b,c,d\n", "the column map_title stands twice"),
    "capitals alone": ("a.csv", f"{NAMES},Map_Title\n1,a,b,c,d\n", "the column map_title and Map_Title stands twice"),
    "forms alone": ("a.csv", f"{NAMES},é,e\u0301\n1,a,b,c,d,e\n", "stands twice"),
    "twice in JSON": (
        "a.jsonl",
        '{"map_id":1}\n{"map_id":1,"map_id":2}',
        "line 2 has the key map_id twice in one object.",
    ),
    "backslashes": (
        "a.csv",
        f'{HEADER}{ROW}1,a,b,"say \\"hi\\" now"\n',
        "row 3, column idea_title: a quotation mark is esc",
    ),
    "backslashes at an end": (
        "a.csv",
        f'{HEADER}1,"\\"a\\"",b,c\n',
        "row 2, column map_title: a quotation mark is escaped",
    ),
    "backslashes alone": (
        "a.csv",
        f'{HEADER}1,a,b,say \\"hi\\"\n',
        "row 2, column idea_title: a quotation mark is escaped",
    ),
    "a backslash last": (
        "a.csv",
        f'{HEADER}1,a,b,"5\\""\n{ROW}',
        "row 2 opens a quotation mark that is never closed, in c",
    ),
    "not doubled": ("a.csv", f'{HEADER}1,a,b,"say "hi" now"\n', "row 2, column idea_title: text follows a closing"),
    "not doubled, with a comma": (
        "a.csv",
        f'{HEADER}1,"a "b", c",b,c\n',
        "row 2, column map_title: text follows a closing",
    ),
    "never closed": (
        "a.csv",
        f'{HEADER}1,"a\nb",b,c\n1,a,"b,c\n{ROW}',
        "row 3 opens a quotation mark that is never closed, in",
    ),
    "closed in another row": (
        "a.csv",
        f'{HEADER}1,a,"b,c\n2,"a",b,c\n',
        "row 2, column map_category_name: text follows",
    ),
    "the line where it is not the row": (
        "a.csv",
        f'{HEADER}1,"a\nb",b,c\n1,a\n',
        "map_category_name is missing, line 4 of",
    ),
    "two files in one": ("a.csv", HEADER + ROW + HEADER + ROW, "row 3 is the header once more"),
    "Windows-1252": (
        "a.csv",
        (HEADER + "1,a,b,mañana\n").encode("cp1252"),
        "(byte 0xf1), in column idea_title; save the",
    ),
    "UTF-16 without a mark": ("a.csv", TABLE.encode("utf-16-le"), "seems to be in UTF-16 without a byte order mark"),
    "half a character": ("a.csv", TABLE.encode("utf-16")[:-1], "is not whole"),
    "NUL": ("a.csv", HEADER + "1,a,b,c\x00d\n", "row 2 holds a NUL character, in column idea_title"),
    "NUL in JSON": ("a.jsonl", json.dumps(RECORD | {"idea_title": "\0"}), "line 1, column idea_title holds U+0000"),
    "half a pair": ("a.jsonl", json.dumps(RECORD | {"idea_title": "\ud800"}), "column idea_title holds U+D800"),
    "no JSON": ("a.jsonl", json.dumps(RECORD) + "\n{'a': 1}", "line 2 is not JSON"),
    "NaN": ("a.jsonl", json.dumps(RECORD | {"map_title": float("nan")}), "line 1 holds NaN, which is no JSON."),
    "a number past all": (
        "a.jsonl",
        json.dumps(RECORD | {"map_title": 5}).replace("5", "51e999"),
        "line 1 holds 51e999, which is too large for a number.",
    ),
    "a number of many digits": (
        "a.jsonl",
        json.dumps(RECORD | {"map_title": 5}).replace("5", "5" * 5000),
        "line 1 holds a whole number of more digits than can be read.",
    ),
    "a long number": (
        "a.jsonl",
        json.dumps(RECORD | {"idea_title": 5}).replace("5", "5" * 4000),
        f"line 1, column idea_title: the number {'5' * 40}, where a text",
    ),
    "a number": (
        "a.jsonl",
        json.dumps(RECORD | {"idea_title": 5}),
        "line 1, column idea_title: the number 5, where a text",
    ),
    "a list": (
        "a.jsonl",
        json.dumps(RECORD | {"idea_title": ["a"]}),
        "line 1, column idea_title: a list, where a text",
    ),
    "a number with a point for an id": (
        "a.jsonl",
        json.dumps(RECORD | {"map_id": 1.0}),
        "column map_id: the number 1.0",
    ),
    "a key that one lacks": ("a.jsonl", json.dumps(RECORD) + '\n{"map_id": 1}', "line 2 has no idea_title"),
    "no object": ("a.jsonl", '"a"\n', "line 1 is a text, where an object with the columns is needed"),
    "one object over many lines": ("a.json", json.dumps(RECORD, indent=1), "one object a line, or one list of them"),
    "JSON called CSV": ("a.csv", json.dumps(RECORD), "holds JSON and is named .csv"),
    "no Parquet": ("a.parquet", TABLE, "is no whole Parquet file"),
    "half a gzip": ("a.csv.gz", gzip.compress(TABLE.encode())[:-6], "can't be unpacked by gzip"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_with_row_and_cause(tmp_path: Path, name: str) -> None:
    file, content, expected = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path / file, content)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ([1.5], "row 1, column idea_title: the number 1.5"),
        ([["a"]], "row 1, column idea_title: a list"),
        ([7], "row 1, column idea_title: the n"),
    ],
)
def test_a_parquet_column_that_holds_no_texts_is_named(tmp_path: Path, titles: list[Any], expected: str) -> None:
    content = parquet(tmp_path / "t", idea_title=titles)
    with pytest.raises(DataError, match=expected):
        read(tmp_path / "a.parquet", content)


def test_half_a_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no whole Parquet file"):
        read(tmp_path / "a.parquet", parquet(tmp_path / "t")[:-20])
