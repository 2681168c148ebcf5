"""The committed data set is what its data card says."""

import csv
from collections import Counter, defaultdict

import pytest

from tests.places import ROOT
from training.data.load import load_data

PATH = ROOT / "data" / "public_maps.csv"
CARD = PATH.with_name("README.md")
COLUMNS = [
    *("map_id", "map_title", "map_rating", "map_category_name"),
    *("idea_id", "idea_parent_id", "idea_title", "language"),
]
CATEGORIES = {"Education", "Other", "Business", "Technology", "Productivity", "Life", "Entertainment"}
LANGUAGES = {"English": "en", "Spanish": "es", "German": "de", "French": "fr", "Portuguese": "pt"}

Maps = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def maps() -> Maps:
    with PATH.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS
        by_id = defaultdict(list)
        for row in reader:
            by_id[row["map_id"]].append(row)
    return by_id


def test_there_are_240_maps_and_1800_ideas_at_least(maps: Maps) -> None:
    assert len(maps) >= 240
    assert sum(map(len, maps.values())) >= 1800


def test_a_map_has_one_title_category_rating_and_language(maps: Maps) -> None:
    for rows in maps.values():
        for column in ("map_title", "map_category_name", "map_rating", "language"):
            assert len({row[column] for row in rows}) == 1
        assert 0 <= float(rows[0]["map_rating"]) <= 5


def test_each_map_is_a_tree_with_branches_under_its_root(maps: Maps) -> None:
    for rows in maps.values():
        parents = {row["idea_id"]: row["idea_parent_id"] for row in rows}
        assert len(parents) == len(rows), "an id twice"
        assert list(parents.values()).count("") == 1, "not one root"
        for idea in parents:
            path = [idea]
            while parents[path[-1]]:
                path.append(parents[path[-1]])
                assert path[-1] in parents, "a parent outside the map"
                assert len(path) <= len(parents), "a circle"


def test_most_maps_have_leaves_below_their_branches(maps: Maps) -> None:
    deep = 0
    for rows in maps.values():
        roots = {row["idea_id"] for row in rows if not row["idea_parent_id"]}
        deep += any(row["idea_parent_id"] and row["idea_parent_id"] not in roots for row in rows)
    assert deep > 0.8 * len(maps)


def test_no_idea_id_is_in_two_maps(maps: Maps) -> None:
    ideas = [row["idea_id"] for rows in maps.values() for row in rows]
    assert len(set(ideas)) == len(ideas)


def test_a_title_has_1_to_12_words_and_some_have_line_breaks(maps: Maps) -> None:
    titles = [row["idea_title"] for rows in maps.values() for row in rows]
    assert {1 <= len(title.split()) <= 12 for title in titles} == {True}
    assert any("\n" in title for title in titles)
    assert any(len(title.split()) == 1 for title in titles)


def test_the_seven_categories_are_all_there_and_none_is_rare(maps: Maps) -> None:
    counts = Counter(rows[0]["map_category_name"] for rows in maps.values())
    assert set(counts) == CATEGORIES
    assert counts.most_common(1)[0][0] == "Education"
    assert min(counts.values()) > 0.05 * len(maps)


def test_the_languages_are_all_there(maps: Maps) -> None:
    counts = Counter(rows[0]["language"] for rows in maps.values())
    assert min(counts[language] for language in ("en", "es", "de", "fr", "pt")) >= 20
    assert len(set(counts) & {"ar", "el", "he", "hi", "ja", "ko", "ru", "th", "uk", "zh"}) >= 5


def test_no_two_maps_are_one_with_words_replaced(maps: Maps) -> None:
    # Maps filled in from a template share most of their titles.
    seen = Counter(row["idea_title"].casefold() for rows in maps.values() for row in rows)
    assert sum(count for count in seen.values() if count > 3) < 0.05 * seen.total()


def test_the_data_card_counts_what_is_there(maps: Maps) -> None:
    card = CARD.read_text(encoding="utf-8")
    ideas = sum(map(len, maps.values()))
    assert f"{len(maps)} mind maps with {ideas:,} ideas" in card
    for category in CATEGORIES:
        of_it = [rows for rows in maps.values() if rows[0]["map_category_name"] == category]
        count = sum(map(len, of_it))
        assert f"| {category} | {len(of_it)} | {count} | {100 * count / ideas:.1f} % |" in card
    for name, code in LANGUAGES.items():
        of_it = [rows for rows in maps.values() if rows[0]["language"] == code]
        assert f"| {name} | {len(of_it)} | {sum(map(len, of_it))} |" in card


def test_the_data_card_counts_the_splits() -> None:
    counts = load_data(PATH).counts()
    shown = [f"{counts[split]['groups']} ({counts[split]['examples']})" for split in ("validation", "test")]
    card = " ".join(CARD.read_text(encoding="utf-8").split())
    assert f"Train {counts['train']['groups']} maps ({counts['train']['examples']:,} ideas), " in card
    assert f"validation {shown[0]}, test {shown[1]}" in card
