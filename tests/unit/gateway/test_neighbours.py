"""Which sentences share a call: those nearest in length, as long as the padding costs less than another call."""

from dataclasses import dataclass

import pytest

from gateway.neighbours import cheapest_batch, tokens_for_student

CPU, GPU = 256, 16384
"""BATCH_TOKENS for each."""


@dataclass
class Sentence:
    tokens: int


def lengths_of_call(lengths: list[int], oldest: int, most: int = 64, most_tokens: int = CPU) -> list[int]:
    waiting = [Sentence(length) for length in lengths]
    chosen = next(sentence for sentence in waiting if sentence.tokens == oldest)
    return [sentence.tokens for sentence in cheapest_batch(waiting, chosen, most, most_tokens)]


def test_the_example_of_the_page_on_batching() -> None:
    assert lengths_of_call([40, 9, 7, 6, 7], oldest=7) == [6, 7, 7, 9]


def test_where_a_call_weighs_more_longer_ones_come_along() -> None:
    assert lengths_of_call([40, 9, 7, 6, 7], oldest=7, most_tokens=GPU) == [6, 7, 7, 9, 40]


def test_a_call_is_not_made_larger_for_a_neighbour_that_pads_all_others() -> None:
    assert lengths_of_call([*[10] * 4, 11], oldest=10) == [*[10] * 4, 11]
    assert lengths_of_call([*[10] * 8, 11], oldest=10) == [10] * 8


@pytest.mark.parametrize("oldest", [5, 12, 30])
def test_the_oldest_is_always_in_it_within_the_bounds(oldest: int) -> None:
    lengths = [*range(5, 31)] * 3
    call = lengths_of_call(lengths, oldest, most=16)
    assert oldest in call
    assert len(call) <= 16
    assert len(call) * max(call) <= CPU


@pytest.mark.parametrize(("cost", "tokens"), [(0.25, 1024), (1.0, 256), (1.3, 256), (0.02, 16 * 256)])
def test_a_students_calls_grow_as_it_costs_less_up_to_a_bound(cost: float, tokens: int) -> None:
    assert tokens_for_student(CPU, cost) == tokens


def test_one_that_is_past_the_bound_goes_alone() -> None:
    assert lengths_of_call([300, 299, 5], oldest=300) == [300]
