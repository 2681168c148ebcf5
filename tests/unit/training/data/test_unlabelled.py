"""Texts without a label are read from any file, or put together anew; none that is held out is among them."""

import json
from pathlib import Path

import pytest

from tests.places import ROOT
from training.data.examples import DataError
from training.data.load import TrainingData, load_data
from training.data.unlabelled import other_texts, pieces, recombined

SAMPLE = ROOT / "data" / "public_maps.csv"


@pytest.fixture(scope="module")
def maps() -> TrainingData:
    return load_data(SAMPLE)


def held_out(data: TrainingData) -> list[str]:
    return [example.text for name in ("validation", "test") for example in data.splits[name]]


def test_a_file_of_everything_gives_nothing_that_is_held_out_or_trained_on(maps: TrainingData) -> None:
    found = other_texts(maps, [str(SAMPLE)], recombine=False, seed=0)
    assert found.texts == []
    assert found.held_out >= len(set(held_out(maps)))


def test_texts_of_held_out_maps_are_known_by_their_map_and_by_themselves(maps: TrainingData, tmp_path: Path) -> None:
    tested, trained = maps.splits["test"][0], maps.splits["train"][0]
    rows = [
        {"map_id": tested.group, "map_title": "x", "idea_title": "a new idea of a tested map"},
        {"map_id": "new", "map_title": tested.group_title.upper(), "idea_title": tested.own_text},
        {"map_id": "new", "map_title": "A new map", "idea_title": "with an idea"},
        {"map_id": trained.group, "map_title": trained.group_title, "idea_title": "a new idea"},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = other_texts(maps, [str(tmp_path / "log.jsonl")], recombine=False, seed=0)
    assert found.texts == ["with an idea A new map", f"a new idea {trained.group_title}"]
    assert (found.unlabelled, found.held_out) == (2, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("log.txt", "one\n\n two \none\n"), ("log.csv", "sentence,more\none,1\ntwo,2\n"), ("log.csv", "text\none\ntwo\n")],
)
def test_lines_and_tables_of_other_columns_are_read(
    maps: TrainingData, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert other_texts(maps, [str(tmp_path / name)], recombine=False, seed=0).texts == ["one", "two"]


def test_a_table_without_a_text_is_refused_in_one_line(maps: TrainingData, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"neither the columns of the teacher's texts \(idea_title, map_title\)"):
        other_texts(maps, [str(tmp_path / "log.csv")], recombine=False, seed=0)


def test_recombined_texts_are_of_the_training_maps_alone(maps: TrainingData) -> None:
    train = maps.splits["train"]
    found = other_texts(maps, (), recombine=True, seed=0)
    assert found.recombined == len(found.texts) > 1.5 * len(train)
    assert not set(found.texts) & {*held_out(maps), *(example.text for example in train)}
    parts = {example.own_text for example in train} | {example.group_title for example in train}
    words = {word for part in parts for word in part.split()}
    assert all(set(text.split()) <= words for text in found.texts)
    titles = {example.group_title for example in train}
    assert titles & set(found.texts)
    assert list(recombined(train, 0)) == list(recombined(train, 0)) != list(recombined(train, 1))


def test_pieces_are_words_in_a_row_of_one_text_or_of_two() -> None:
    texts = ["one two three four five six", "seven eight nine ten", "eleven"]
    found = list(pieces(texts, 6, 0))
    assert found == list(pieces(texts, 6, 0)) != list(pieces(texts, 6, 1))
    assert len(found) == 18
    for number, piece in enumerate(found):
        if number % 3 == 2:
            assert any(
                piece == f"{one} {other}".strip()
                for one, other in ((piece[:cut].strip(), piece[cut:].strip()) for cut in range(len(piece)))
                if one in texts[number // 6] and any(other in text for text in texts)
            )
        else:
            assert piece in texts[number // 6]
            assert len(piece.split()) >= min(3, len(texts[number // 6].split()))


def test_pieces_of_scripts_without_spaces_are_cut_between_characters() -> None:
    text = "机器学习正在改变教育和医学的许多领域"
    found = set(pieces([text] * 20, 2, 0))
    assert len(found) > 10
    assert all(piece in text and 3 <= len(piece) <= 14 for piece in found)


def test_pieces_that_are_held_out_are_not_learned_from(maps: TrainingData) -> None:
    found = other_texts(maps, (), recombine=False, seed=0, pieces_each=2)
    assert found.pieces == len(found.texts) > 1000
    assert not {text.casefold() for text in found.texts} & {text.casefold() for text in held_out(maps)}
    assert other_texts(maps, (), recombine=False, seed=0).texts == []
