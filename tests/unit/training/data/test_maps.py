"""A CSV file of mind maps is read whole or refused in one clear sentence, and split so that test maps are new."""

import csv
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from repository.names import refused_label, visible
from tests.places import ROOT as REPOSITORY
from training.data.load import (
    SPLIT_NAMES,
    DataError,
    Example,
    SplitKind,
    TrainingData,
    load_data,
    load_split,
)
from training.data.reading import read_file

HEADER = "map_id,map_title,map_category_name,idea_title\n"

Row = dict[str, str]


def rows_of(maps_a_class: int = 4, ideas_a_map: int = 3, classes: tuple[str, ...] = ("Education", "Life")) -> list[Row]:
    return [
        {
            "map_id": f"{label}{number}",
            "map_title": f"{label} map {number}",
            "map_category_name": label,
            "idea_title": f"idea {idea} of {number}",
        }
        for label in classes
        for number in range(maps_a_class)
        for idea in range(ideas_a_map)
    ]


def write(path: Path, rows: list[Row], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def splits_by_map(data: TrainingData) -> dict[str, str]:
    return {idea.group: name for name, ideas in data.splits.items() for idea in ideas}


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_sentence_is_the_idea_then_the_map_on_one_line(tmp_path: Path) -> None:
    rows = rows_of()
    rows[0] |= {"idea_title": "  aprende\r\nun \u00a0 nuevo\tlenguaje\u2028", "map_title": "Mi\nmapa "}
    ideas = read_file(write(tmp_path / "maps.csv", rows)).examples
    assert ideas[0] == Example("aprende un nuevo lenguaje Mi mapa", "Education", "Education0", "Mi mapa", None, 2)


def test_a_map_without_a_title_gives_the_idea_alone(tmp_path: Path) -> None:
    rows = rows_of()
    rows[0]["map_title"] = ""
    assert read_file(write(tmp_path / "maps.csv", rows)).examples[0].text == "idea 0 of 0"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_reads_the_same_with_and_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    rows = rows_of()
    rows[0]["idea_title"] = "日本語 ñ ß"
    ideas = read_file(write(tmp_path / "maps.csv", rows, encoding)).examples
    assert (ideas[0].group, ideas[0].text) == ("Education0", "日本語 ñ ß Education map 0")


def test_the_first_customers_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    columns = ("map_id", "map_title", "map_rating", "map_category_name", "idea_id", "idea_parent_id", "idea_title")
    rows = [{column: row.get(column, "") for column in columns} for row in rows_of()]
    data = load_data(write(tmp_path / "maps.csv", rows))
    assert sum(len(ideas) for ideas in data.splits.values()) == len(rows)
    assert {idea.language for ideas in data.splits.values() for idea in ideas} == {None}


def test_a_title_longer_than_pythons_own_limit_is_read(tmp_path: Path) -> None:
    rows = rows_of()
    rows[0]["idea_title"] = "a" * 300_000
    before = csv.field_size_limit()
    assert len(read_file(write(tmp_path / "maps.csv", rows)).examples[0].text) > 300_000
    assert csv.field_size_limit() == before


def test_rows_without_a_title_or_category_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = rows_of()
    rows[0]["idea_title"] = " \n "
    rows[1]["map_category_name"] = ""
    rows[2]["idea_title"] = ""
    path = write(tmp_path / "maps.csv", rows)
    path.write_text(path.read_text() + "\n ,,,\n\n")  # blank lines are no rows
    maps_file = read_file(path)
    assert len(maps_file.examples) == len(rows) - 3
    assert maps_file.skipped == {"idea_title": 2, "map_category_name": 1}


# --- refusing ----------------------------------------------------------------------------------------------------

BAD_FILES = {
    "empty": (b"", "is empty"),
    "white space": (b" \n\n", "is empty"),
    "header alone": (HEADER.encode(), "no row below it"),
    "a missing column": (b"map_id,map_title,idea_title\n1,a,b\n", "row 1, the header, lacks the column map_category"),
    "two missing columns": (b"map_id,idea_title\n1,a\n", "lacks the columns map_title, map_category_name"),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00", "not a CSV file but a binary one"),
    "Latin-1": (HEADER.encode() + b'1,"two\nlines",Life,ok\n2,a,Life,ma\xf1ana\n', "row 3 is not in UTF-8 (byte 0xf1)"),
    "a field too few": (HEADER.encode() + b'1,"two\nlines",Life,ok\n\n1,b,c\n', "row 4 has 3 columns where the header"),
    "a field too many": (HEADER.encode() + b"1,a,Life,one, two\n", "row 2 has 5 columns where the header has 4"),
    "an open quotation mark": (HEADER.encode() + b'1,a,Life,b\n1,a,Life,"c\n1,a,Life,d\n', "row 3 opens a quotation"),
    "no idea title": (HEADER.encode() + b"1,a,Life,\n2,b,Education,  \n", "idea_title is empty in 2 of 2 rows, first"),
    "one class": (
        HEADER.encode() + b"1,a,Life,b\n2,c,Life,d\n",
        "column map_category_name: there is the one class Life",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence_that_says_where(tmp_path: Path, name: str) -> None:
    content, expected = BAD_FILES[name]
    path = tmp_path / "maps.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_data(path)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(str(path))
    assert "\n" not in message


@pytest.mark.parametrize("label", ["Ops\nteam", "Ops\tteam", "Ops\x1b[31m", "Ops\u202eteam", "\u200b"])
def test_a_class_that_cannot_be_read_is_refused_by_name_with_its_row(tmp_path: Path, label: str) -> None:
    rows = rows_of()
    rows[1]["map_category_name"] = label
    with pytest.raises(DataError) as caught:
        load_data(write(tmp_path / "maps.csv", rows))
    expected = f"the label '{visible(label)}' {refused_label(label)}; rename it"
    assert f"row 3, column map_category_name: {expected}" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_class_keeps_its_brackets_and_loses_the_blanks_around_it(tmp_path: Path) -> None:
    rows = rows_of(classes=("Ops [/api]", "[red]"))
    rows[0]["map_category_name"] = " Ops  [/api]\n"
    assert load_data(write(tmp_path / "maps.csv", rows)).labels == ["Ops [/api]", "[red]"]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        load_data(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is no folder of Hugging Face datasets"):
        load_data(tmp_path)


@pytest.mark.parametrize(("kind", "unit"), [("groups", "maps"), ("rows", "rows")])
def test_a_class_too_small_for_three_splits_is_named_with_the_least(tmp_path: Path, kind: SplitKind, unit: str) -> None:
    rows = [*rows_of(), *rows_of(maps_a_class=2, ideas_a_map=1, classes=("Business",))]
    with pytest.raises(DataError, match=rf"class Business has 2 {unit}.*at least 3 are needed"):
        load_data(write(tmp_path / "maps.csv", rows), kind)


# --- splitting ---------------------------------------------------------------------------------------------------


def test_no_map_and_no_title_is_in_two_splits() -> None:
    data = load_data(REPOSITORY / "data" / "public_maps.csv")
    for read in (lambda idea: idea.group, lambda idea: idea.group_title.casefold()):
        splits_of = defaultdict(set)
        for name, ideas in data.splits.items():
            for idea in ideas:
                splits_of[read(idea)].add(name)
        assert {len(names) for names in splits_of.values()} == {1}


def test_maps_of_one_title_stay_together_whatever_their_capitals(tmp_path: Path) -> None:
    rows = rows_of(maps_a_class=12)
    copies = {"Education1": "My  Plan", "Education7": "my plan", "Life3": "MY PLAN"}
    for row in rows:
        row["map_title"] = copies.get(row["map_id"], row["map_title"])
    split_of = splits_by_map(load_data(write(tmp_path / "maps.csv", rows)))
    assert len({split_of[map_id] for map_id in copies}) == 1


def test_each_class_is_dealt_70_15_15(tmp_path: Path) -> None:
    rows = [*rows_of(maps_a_class=100), *rows_of(maps_a_class=20, classes=("Rare",))]
    split_of = splits_by_map(load_data(write(tmp_path / "maps.csv", rows)))
    counts = Counter((map_id.rstrip("0123456789"), name) for map_id, name in split_of.items())
    assert [counts["Life", name] for name in SPLIT_NAMES] == [70, 15, 15]
    assert [counts["Rare", name] for name in SPLIT_NAMES] == [14, 3, 3]


def test_the_least_a_class_can_have_is_one_map_in_each_split(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "maps.csv", rows_of(maps_a_class=3)))
    assert [{idea.target for idea in data.splits[name]} for name in SPLIT_NAMES] == [{"Education", "Life"}] * 3


@pytest.mark.parametrize("kind", ["groups", "rows"])
def test_the_order_of_the_rows_changes_no_split(tmp_path: Path, kind: SplitKind) -> None:
    rows = rows_of(maps_a_class=20)
    before = load_data(write(tmp_path / "a.csv", rows), kind)
    random.Random(7).shuffle(rows)
    after = load_data(write(tmp_path / "b.csv", rows), kind)
    for name in SPLIT_NAMES:
        assert {idea.text for idea in before.splits[name]} == {idea.text for idea in after.splits[name]}


def test_another_process_deals_the_same_splits_without_torch_or_scikit_learn() -> None:
    program = (
        "import sys; from training.data.load import load_split; sentences, _ = load_split('data/public_maps.csv');"
        "assert not {'torch', 'sklearn', 'transformers', 'numpy'} & set(sys.modules);"
        "import hashlib; sys.stdout.write(hashlib.sha256('|'.join(sentences).encode()).hexdigest())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_a_split_by_rows_has_the_test_titles_in_train() -> None:
    data = load_data(REPOSITORY / "data" / "public_maps.csv", "rows")
    seen = {idea.group for idea in data.splits["train"]}
    assert sum(idea.group in seen for idea in data.splits["test"]) > 0.95 * len(data.splits["test"])


def test_load_split_gives_sentences_and_labels_side_by_side() -> None:
    path = REPOSITORY / "data" / "public_maps.csv"
    sentences, labels = load_split(path)
    test = load_data(path).splits["test"]
    assert list(zip(sentences, labels, strict=True)) == [(idea.text, idea.target) for idea in test]
    with pytest.raises(ValueError, match="choose one of train, validation, test"):
        load_split(path, "dev")  # type: ignore[arg-type]
