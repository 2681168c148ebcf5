"""Which texts share a request."""

from collections.abc import Iterator
from typing import Any

import pytest

from text_classifier_client import Pair, TextError
from text_classifier_client.batching import MOST_CHARACTERS, Batch, Cutter, batches


def cut(texts: Any, most: int = 3, raises: bool = True) -> list[Batch]:
    return list(batches(texts, Cutter(lambda: most, raises)))


def test_batches_are_full_in_order_and_know_their_places() -> None:
    found = cut("abcdefgh")
    assert [batch.texts for batch in found] == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]
    assert [batch.places for batch in found] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert cut([]) == []


def test_no_more_is_read_than_the_batch_at_hand_needs() -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(10):
            read.append(number)
            yield str(number)

    source = batches(texts(), Cutter(lambda: 3, True))
    next(source)
    assert read == [0, 1, 2]
    next(source)
    assert read == [0, 1, 2, 3, 4, 5]


def test_long_texts_fill_a_batch_earlier_and_one_alone_is_a_batch_whatever_its_length() -> None:
    half, whole = "x" * (MOST_CHARACTERS // 2), "x" * (2 * MOST_CHARACTERS)
    assert [len(batch) for batch in cut([half, half, "x", whole, "x"], most=10)] == [2, 1, 1, 1]


def test_sentences_and_pairs_are_asked_apart() -> None:
    found = cut(["a", Pair("b", "c"), Pair("d", "e"), "f"], most=10)
    assert [batch.texts for batch in found] == [["a"], [Pair("b", "c"), Pair("d", "e")], ["f"]]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000", Pair(" ", "")])
def test_a_blank_text_is_told_by_its_place(blank: Any) -> None:
    with pytest.raises(TextError) as caught:
        cut(["a", "b", "c", "d", blank])
    assert caught.value.index == 4
    (batch,) = cut(["a", blank, "b"], most=10, raises=False)
    assert (batch.texts, batch.places, [error.index for error in batch.refused]) == (["a", "b"], [0, 2], [1])


def test_blank_texts_alone_fill_batches_too() -> None:
    assert [len(batch) for batch in cut([""] * 7, raises=False)] == [3, 3, 1]


def test_what_came_before_a_fault_is_given_first() -> None:
    source = batches(["a", "b", "c", "d", 5], Cutter(lambda: 3, True))
    assert [next(source).texts, next(source).texts] == [["a", "b", "c"], ["d"]]
    with pytest.raises(TypeError, match="the text at index 4 is int, not str"):
        next(source)


@pytest.mark.parametrize("odd", [None, 1, b"a", ["a"], {"a": 1}, float("nan"), ("a", "b")])
def test_what_is_no_text_is_refused(odd: Any) -> None:
    with pytest.raises(TypeError, match="index 0"):
        cut([odd], raises=False)
