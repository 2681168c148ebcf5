"""Copies of a map are in one split, classes that look alike are named, and a checkpoint remembers its test split."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.training.data.test_maps import Row, rows_of, splits_by_map, write
from training.data.load import SPLIT_NAMES, DataError, SplitKind, load_data
from training.data.split_record import SPLIT_FILE, SplitRecord, combined_split


def copies_of(rows: list[Row], original: str, **changes: str) -> list[Row]:
    return [row | changes for row in rows if row["map_id"] == original]


def many_ideas(maps_a_class: int = 20) -> list[Row]:
    """Maps with ideas of their own, eight each."""
    rows = rows_of(maps_a_class, ideas_a_map=8)
    return [row | {"idea_title": f"{row['idea_title']} in {row['map_category_name']}"} for row in rows]


LOOKS_THE_SAME = {
    "a zero-width space": "Li\u200bfe map 3",
    "another normal form": unicodedata.normalize("NFD", "Ｌife map 3"),
    "a letter of another script": "L\u0456fe map 3",
    "capitals": "LIFE MAP 3",
    "punctuation": "Life map (3)!",
    "a soft hyphen and a hard blank": "Li\u00adfe\u00a0map 3",
    "a direction mark": "\u202eLife map 3\u202c",
}


@pytest.mark.parametrize("name", LOOKS_THE_SAME)
def test_a_map_and_those_that_look_the_same_are_in_one_split(tmp_path: Path, name: str) -> None:
    rows = many_ideas()
    # Several, since each has another hash: by chance they would land in several splits.
    ids = [f"copy {number}" for number in range(8)]
    for map_id in ids:
        copy = copies_of(rows, "Life3", map_id=map_id, map_title=LOOKS_THE_SAME[name])
        rows += [row | {"idea_title": f"{row['idea_title']} {map_id}"} for row in copy]
    data = load_data(write(tmp_path / "maps.csv", rows))
    assert len({splits_by_map(data)[map_id] for map_id in ["Life3", *ids]}) == 1
    assert data.copies == [sorted(["Life3", *ids])]


@pytest.mark.parametrize("changed", [0, 1])
def test_maps_with_the_ideas_of_another_are_in_its_split_whatever_their_titles(tmp_path: Path, changed: int) -> None:
    rows = many_ideas()
    ids = [f"copy {number}" for number in range(8)]
    for map_id in ids:
        changes = {"map_id": map_id, "map_title": f"Another {map_id}", "map_category_name": "Education"}
        copy = copies_of(rows, "Life3", **changes)
        for row in copy[:changed]:
            row["idea_title"] = f"an idea of {map_id} alone"
        rows += copy
    split_of = splits_by_map(load_data(write(tmp_path / "maps.csv", rows)))
    assert len({split_of[map_id] for map_id in ["Life3", *ids]}) == 1


def test_maps_that_share_a_common_idea_alone_are_no_copies(tmp_path: Path) -> None:
    rows = many_ideas()
    for row in rows[::8]:
        row["idea_title"] = "Conclusion"
    assert load_data(write(tmp_path / "maps.csv", rows)).copies == []


def test_one_class_in_two_normal_forms_is_one_class(tmp_path: Path) -> None:
    rows = rows_of(classes=("Música", "Life"))
    for row in rows[:6]:
        row["map_category_name"] = unicodedata.normalize("NFD", row["map_category_name"])
    data = load_data(write(tmp_path / "maps.csv", rows))
    assert data.labels == ["Life", "Música"]
    assert data.warnings == []


@pytest.mark.parametrize(
    ("twin", "shown"),
    [("LIFE", "LIFE"), ("Life\u200b", r"Life\u200b"), ("L\u0456fe", r"L\u0456fe"), ("Li\u00adfe", r"Li\xadfe")],
)
def test_classes_that_look_alike_are_named_with_what_tells_them_apart(tmp_path: Path, twin: str, shown: str) -> None:
    rows = [row | {"map_title": row["map_id"]} for row in rows_of(classes=("Education", "Life"))]
    rows += [row | {"map_id": f"x{row['map_title']}", "map_category_name": twin} for row in rows_of(classes=("Other",))]
    (warning,) = load_data(write(tmp_path / "maps.csv", rows)).warnings
    assert f'"{shown}" (12 examples)' in warning
    assert '"Life" (12 examples)' in warning
    assert warning.isascii()


def test_names_that_differ_in_what_can_be_seen_are_no_look_alikes(tmp_path: Path) -> None:
    names = ("C", "C++", "C#", "Musica", "Música", "Life", "Living")
    rows = rows_of(classes=tuple(map(str, range(len(names)))))
    for row in rows:
        row["map_category_name"] = names[int(row["map_category_name"])]
    assert load_data(write(tmp_path / "maps.csv", rows)).warnings == []


def test_a_class_that_is_too_small_for_looking_like_another_says_so(tmp_path: Path) -> None:
    rows = [*rows_of(), *rows_of(maps_a_class=1, classes=("EDUCATION",))]
    with pytest.raises(DataError, match=r'class EDUCATION has 1 maps.*look alike: "EDUCATION" and "Education"'):
        load_data(write(tmp_path / "maps.csv", rows))


# --- what a checkpoint remembers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["groups", "rows"])
def test_a_split_is_found_again_in_another_order_and_another_normal_form(tmp_path: Path, kind: SplitKind) -> None:
    rows = many_ideas()
    for row in rows:
        row["map_title"] += " café"
    data = load_data(write(tmp_path / "a.csv", rows), kind)
    data.record.write(tmp_path)
    record = SplitRecord.read(tmp_path)
    assert record is not None
    turned = [{name: unicodedata.normalize("NFD", text) for name, text in row.items()} for row in reversed(rows)]
    again = load_data(write(tmp_path / "b.csv", turned), kind)
    for name in SPLIT_NAMES:
        assert {record.split_of(idea) for idea in again.splits[name]} == {name}


def test_a_map_that_comes_back_under_another_id_is_still_one_that_was_trained_on(tmp_path: Path) -> None:
    rows = many_ideas()
    record = load_data(write(tmp_path / "a.csv", rows)).record
    renamed = load_data(write(tmp_path / "b.csv", [row | {"map_id": f"new {row['map_id']}"} for row in rows]))
    found = {record.split_of(idea) for ideas in renamed.splits.values() for idea in ideas}
    assert found == {"train", "validation", None}, "a test map is known by its id alone"


def test_a_row_that_one_of_two_models_was_trained_on_tests_neither(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "a.csv", many_ideas()))
    test, train = data.splits["test"][0], data.splits["train"][0]
    other = SplitRecord.of("b.csv", "", "groups", {"train": [test], "validation": [], "test": [train]})
    assert combined_split(test, [data.record, data.record]) == "test"
    assert combined_split(test, [data.record, other]) == "train"
    assert combined_split(test, [data.record, None]) is None
    assert combined_split(test, [None]) is None


def test_the_record_tells_nobody_a_title(tmp_path: Path) -> None:
    rows = many_ideas()
    load_data(write(tmp_path / "maps.csv", rows)).record.write(tmp_path)
    text = (tmp_path / SPLIT_FILE).read_text().casefold()
    for column in ("map_id", "map_title", "idea_title"):
        assert not [row[column] for row in rows if row[column].casefold() in text]


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}', "[]"])
def test_a_broken_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / SPLIT_FILE).write_text(content)
    with pytest.raises(DataError, match="is no record of a split"):
        SplitRecord.read(tmp_path)


def test_the_shipped_data_is_split_as_its_card_says() -> None:
    data = load_data(ROOT / "data" / "public_maps.csv")
    assert [data.counts()[name]["groups"] for name in SPLIT_NAMES] == [342, 72, 72]
    assert [data.counts()[name]["examples"] for name in SPLIT_NAMES] == [3134, 674, 660]
    assert json.dumps(sorted(map(len, data.copies))) == "[2, 2]"
