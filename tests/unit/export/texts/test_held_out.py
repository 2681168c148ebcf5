"""What scores mean is fitted on sentences that the model was not trained on, and reported on others."""

from collections.abc import Sequence

import pytest

from export import ExportError
from export.texts.held_out import MOST_TEXTS, LabelledTexts, held_out_texts
from training.data.examples import Example
from training.data.split import SplitName
from training.data.split_record import SplitRecord

LABELS = ["a", "b"]


def examples_of(groups: int, each: int = 3, first: int = 0) -> list[Example]:
    return [
        Example(f"text {group} {place}", LABELS[place % 2], f"g{group}", row=place)
        for group in range(first, first + groups)
        for place in range(each)
    ]


def record_of(**splits: Sequence[Example]) -> SplitRecord:
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    return SplitRecord.of("data.csv", "0" * 64, "groups", {name: splits.get(name, []) for name in names})


def groups_of(texts: LabelledTexts | None) -> set[str]:
    return set(texts.groups) if texts is not None else set()


def test_the_validation_split_is_fitted_on_and_the_test_split_reported_on() -> None:
    train, validation, test = examples_of(5), examples_of(3, first=5), examples_of(2, first=8)
    record = record_of(train=train, validation=validation, test=test)
    found = held_out_texts([*train, *validation, *test], "data.csv", LABELS, record)
    assert groups_of(found.fitted_on) == {"g5", "g6", "g7"}
    assert groups_of(found.test) == {"g8", "g9"}
    assert found.fitted_on is not None
    assert found.fitted_on.origin == "validation split of data.csv"


def test_of_data_that_the_model_knows_nothing_of_half_of_the_groups_do_each() -> None:
    found = held_out_texts(examples_of(21), "new.csv", LABELS, None)
    assert len(groups_of(found.fitted_on)) == 11
    assert len(groups_of(found.test)) == 10
    assert not groups_of(found.fitted_on) & groups_of(found.test)


def test_what_was_trained_on_is_in_neither() -> None:
    train = examples_of(5)
    found = held_out_texts([*train, *examples_of(6, first=5)], "more.csv", LABELS, record_of(train=train))
    assert groups_of(found.fitted_on) | groups_of(found.test) == {f"g{number}" for number in range(5, 11)}
    nothing = held_out_texts(train, "data.csv", LABELS, record_of(train=train))
    assert (nothing.fitted_on, nothing.test) == (None, None)


def test_a_file_to_report_on_takes_its_groups_out_of_what_is_fitted_on() -> None:
    found = held_out_texts(examples_of(10), "data.csv", LABELS, None, examples_of(4, first=8), "test.csv")
    assert groups_of(found.fitted_on) == {f"g{number}" for number in range(8)}
    assert groups_of(found.test) == {f"g{number}" for number in range(8, 12)}


def test_a_label_that_the_model_does_not_have_is_refused_with_its_row() -> None:
    with pytest.raises(ExportError, match=r"row 7: the label 'z' is none of the model's \(a, b\)"):
        held_out_texts([*examples_of(3), Example("text", "z", "g9", row=7)], "data.csv", LABELS, None)


def test_there_is_a_bound_and_a_text_stands_once_in_its_group() -> None:
    many = [Example(f"text {number}", "a", str(number)) for number in range(2 * MOST_TEXTS + 10)]
    found = held_out_texts(many, "data.csv", LABELS, None)
    assert found.fitted_on is not None
    assert len(found.fitted_on.sentences) == MOST_TEXTS
    twice = held_out_texts([*examples_of(4), *examples_of(4)], "data.csv", LABELS, None)
    assert twice.fitted_on is not None
    assert len(twice.fitted_on.sentences) == 6
