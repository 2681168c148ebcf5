"""What `auto` is judged on is neither reported on nor calibrated by, and is called what it is."""

from pathlib import Path

from export.texts.data_file import read_data
from export.texts.long_texts import long_texts
from export.texts.sentences import ChosenSentences, choose_sentences, validation_sentences
from tests.unit.export.texts.test_sentences import LABELS, mind_maps, trained
from tests.unit.training.data.test_maps import write
from training.data.split_record import SplitRecord


def test_auto_is_judged_on_the_validation_split_and_reported_on_the_test_split(tmp_path: Path) -> None:
    of = trained(tmp_path)
    chosen = choose_sentences(read_data(of.path), LABELS, (of.data.record,), to_judge=True)
    assert chosen.judged is not None
    assert set(chosen.judged.sentences) == of.sentences("validation")
    assert (chosen.judged.is_validation, chosen.judged.origin) == (True, "validation split of maps.csv")
    assert chosen.judged.truth is not None
    assert len(set(chosen.judged.groups)) == len({idea.group for idea in of.data.splits["validation"]})
    # The rest is as it was.
    assert set(chosen.compared) == of.sentences("test")
    assert set(chosen.calibration) <= of.sentences("train")
    assert of.chosen().judged is None


def dealt(path: Path, record: SplitRecord | None = None) -> ChosenSentences:
    chosen = choose_sentences(read_data(path), LABELS, (record,), to_judge=True)
    assert chosen.judged is not None
    uses = [set(chosen.compared), set(chosen.judged.sentences), set(chosen.calibration)]
    assert sum(map(len, uses)) == len(set().union(*uses))
    return chosen


def test_unknown_data_are_dealt_in_three_and_are_no_split_of_the_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("\n".join(f"sentence {number}" for number in range(50)))
    chosen = dealt(tmp_path / "s.txt")
    assert chosen.judged is not None
    assert [len(chosen.compared), len(chosen.judged.sentences), len(chosen.calibration)] == [10, 30, 10]
    assert (chosen.judged.is_validation, chosen.judged.origin) == (False, "sentences of s.txt")
    maps = dealt(write(tmp_path / "maps.csv", mind_maps()))
    assert maps.judged is not None
    assert (maps.judged.is_validation, maps.held_out) == (False, None)
    assert "no test split" in maps.judged.origin
    assert maps.judged.truth is not None
    assert [len(maps.compared), len(maps.judged.sentences), len(maps.calibration)] == [36, 108, 36]


def test_of_a_test_split_alone_half_of_the_groups_judges(tmp_path: Path) -> None:
    of = trained(tmp_path)
    tested = {idea.group for idea in of.data.splits["test"]}
    path = write(tmp_path / "test.csv", [row for row in mind_maps() if row["map_id"] in tested])
    chosen = dealt(path, of.data.record)
    assert chosen.judged is not None
    assert chosen.origin == chosen.judged.origin == "half of the test split of test.csv"
    assert {*chosen.compared, *chosen.judged.sentences} == of.sentences("test")
    assert not chosen.judged.is_validation


def test_what_was_trained_on_judges_without_its_labels(tmp_path: Path) -> None:
    of = trained(tmp_path)
    seen = {idea.group for idea in of.data.splits["train"]}
    chosen = dealt(write(tmp_path / "seen.csv", [row for row in mind_maps() if row["map_id"] in seen]), of.data.record)
    assert chosen.judged is not None
    assert (chosen.judged.truth, chosen.judged.is_validation) == (None, False)
    assert "all of which were trained on" in chosen.judged.origin


def test_a_line_again_and_again_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("\n".join(f"sentence {number % 7}" for number in range(5000)))
    chosen = choose_sentences(read_data(tmp_path / "s.txt"), [], to_judge=True)
    assert chosen.judged is not None
    assert len(chosen.judged.sentences) == 7


def test_a_validation_file_judges_on_nothing_that_was_trained_or_tested_on(tmp_path: Path) -> None:
    of = trained(tmp_path)
    new = [row | {"map_id": f"new {row['map_id']}", "map_title": f"new {row['map_title']}"} for row in mind_maps(2)]
    judged = validation_sentences(
        read_data(write(tmp_path / "more.csv", [*mind_maps(), *new])), LABELS, (of.data.record,)
    )
    assert judged is not None
    assert set(judged.sentences) & of.sentences("train", "test") == set()
    assert set(judged.sentences) > of.sentences("validation")
    assert (judged.is_validation, judged.origin) == (True, "sentences of more.csv")


# --- long texts --------------------------------------------------------------------------------------------------


def test_long_texts_are_sentences_that_follow_each_other_at_every_length() -> None:
    sentences = [f"sentence number {number}" for number in range(400)]
    texts = long_texts(sentences, [5] * 400, 512)
    sizes = [5 * text.count("sentence") for text in texts]
    assert {size // 64 * 64 for size in sizes} == {64, 128, 256, 512}
    assert len(texts) == len(set(texts)) == 16 + 15 + 7 + 3
    assert all(text in " ".join(sentences) for text in texts)
    assert max(sizes) < 512 + 5


def test_the_longest_are_as_long_as_the_model_takes_and_few_sentences_make_none() -> None:
    assert {text.count(" ") + 1 for text in long_texts([f"word{n}" for n in range(100)], [3] * 100, 16)} == {6}
    assert long_texts(["one", "two"], [3, 3], 512) == []
    # One sentence that is long is judged on as it is.
    assert long_texts(["very long"], [600], 512) == []
