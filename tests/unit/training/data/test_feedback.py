"""Feedback is trained on and never held out; nothing of it is like a text that the model is judged on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from repository.feedback import FeedbackLine
from repository.manifest import ProblemType
from tests.places import ROOT
from training.data.columns import Wanted
from training.data.examples import DataError
from training.data.feedback import with_feedback
from training.data.load import TrainingData, load_data

SAMPLE = ROOT / "data" / "public_maps.csv"

Write = Callable[..., str]


@pytest.fixture(scope="module")
def maps() -> TrainingData:
    return load_data(SAMPLE)


@pytest.fixture
def said(tmp_path: Path) -> Write:
    def write(*rows: tuple[str | None, Sequence[str] | float]) -> str:
        lines = [
            FeedbackLine(
                time=number,
                model="m",
                version=1,
                id=f"{number}",
                answered=["a"],
                right=right if isinstance(right, float) else list(right),
                sentence=sentence,
            )
            for number, (sentence, right) in enumerate(rows)
        ]
        (tmp_path / "feedback-1.jsonl").write_bytes(b"".join(line.encoded() for line in lines))
        return str(tmp_path)

    return write


def test_it_is_trained_on_and_the_other_splits_stay_as_they_were(maps: TrainingData, said: Write) -> None:
    data, counts = with_feedback(maps, said(("a new idea", ["Life"]), ("another  idea", ["Business"])))
    added = data.splits["train"][len(maps.splits["train"]) :]
    assert [(example.text, example.target) for example in added] == [
        ("a new idea", "Life"),
        ("another idea", "Business"),
    ]
    assert {name: data.splits[name] for name in ("validation", "test")} == {
        name: maps.splits[name] for name in ("validation", "test")
    }
    assert data.labels == maps.labels
    assert (counts.trained, data.feedback) == (2, 2)
    assert counts.told() == "Feedback: 2 of 2 rows are trained on."


def test_what_is_like_a_held_out_text_is_left_out(maps: TrainingData, said: Write) -> None:
    tested, validated = maps.splits["test"][0], maps.splits["validation"][0]
    rows = [
        (tested.text, ["Life"]),
        (f"{validated.text.upper()}!", ["Life"]),
        (f"an idea that nobody had {tested.group_title}", ["Life"]),
        ("an idea that nobody had", ["Life"]),
    ]
    data, counts = with_feedback(maps, said(*rows))
    assert [example.text for example in data.splits["train"][-1:]] == ["an idea that nobody had"]
    assert (counts.trained, counts.left_out) == (1, {"like texts of validation or test": 3})


def test_a_model_that_is_trained_further_knows_that_it_has_seen_it(maps: TrainingData, said: Write) -> None:
    data, _ = with_feedback(maps, said(("an idea that nobody had", ["Life"])))
    example = data.splits["train"][-1]
    assert data.record.split_of(example) == "train"
    assert maps.record.split_of(example) is None


def test_rows_that_teach_nothing_are_counted_by_why(maps: TrainingData, said: Write) -> None:
    known = maps.splits["train"][0]
    other = next(label for label in maps.labels if label != known.target)
    rows = [
        (None, ["Life"]),
        ("an idea", ["No such label"]),
        ("twice", ["Life"]),
        ("twice", ["Other"]),
        (known.text, known.labels),
    ]
    data, counts = with_feedback(maps, said(*rows))
    assert [(one.text, one.target) for one in data.splits["train"][-1:]] == [("twice", "Other")]
    assert {why.partition(":")[0]: count for why, count in counts.left_out.items()} == {
        "without the sentence": 1,
        "with a label that the data does not have": 1,
        "given anew for the same text": 1,
        "in the training data already": 1,
    }
    _, counts = with_feedback(maps, said((known.text, [other])))
    assert (counts.trained, counts.contradict) == (1, 1)


def test_a_folder_without_a_sentence_says_what_to_do(maps: TrainingData, said: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 1 rows has its sentence: .*FEEDBACK_SENTENCES=true"):
        with_feedback(maps, said((None, ["Life"])))
    with pytest.raises(DataError, match="is no folder: name what FEEDBACK of the gateway was"):
        with_feedback(maps, str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"its model answers with a number; the data has 7 classes"):
        with_feedback(maps, said(("text", 3.0)))


def test_several_labels_and_numbers_are_read(tmp_path: Path, said: Write) -> None:
    several, numbers = tmp_path / "several.csv", tmp_path / "numbers.csv"
    several.write_text("text,label\n" + "".join(f"text {n},{'a;b' if n % 2 else 'b'}\n" for n in range(40)))
    numbers.write_text("text,label\n" + "".join(f"text {n},{n}.5\n" for n in range(40)))
    data, _ = with_feedback(load_data(several, wanted=Wanted(separator=";")), said(("new", ["b", "a"]), ("none", [])))
    assert data.task is ProblemType.MULTI_LABEL
    assert [one.target for one in data.splits["train"][-2:]] == [("a", "b"), ()]
    data, _ = with_feedback(load_data(numbers), said(("new", 2.25)))
    assert data.splits["train"][-1].target == 2.25
