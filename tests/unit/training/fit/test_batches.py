"""Training sees each sentence once an epoch, beside sentences near in length, in an order that the seed decides."""

import random

import pytest

pytest.importorskip("torch")

from training.fit.batches import NearInLength
from training.settings import usual_epochs

LENGTHS = [random.Random(3).randint(3, 40) for _ in range(1005)]


def test_each_sentence_comes_once_an_epoch_in_another_order_each_time() -> None:
    sampler = NearInLength(LENGTHS, batch_size=32, seed=0)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(len(LENGTHS)))
    assert first != second


def test_the_seed_decides_the_order() -> None:
    assert list(NearInLength(LENGTHS, 32, seed=5)) == list(NearInLength(LENGTHS, 32, seed=5))
    assert list(NearInLength(LENGTHS, 32, seed=5)) != list(NearInLength(LENGTHS, 32, seed=6))


def test_a_batch_is_hardly_padded() -> None:
    order = list(NearInLength(LENGTHS, batch_size=32, seed=0))
    batches = [[LENGTHS[index] for index in order[start : start + 32]] for start in range(0, len(order), 32)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert padded < 1.15 * sum(LENGTHS)


@pytest.mark.parametrize(
    ("texts", "texts_a_step", "epochs"),
    [(3134, 32, 2), (701, 32, 9), (24, 32, 10), (100_000, 32, 2), (701, 8, 2), (1, 1, 10)],
)
def test_less_data_is_gone_through_more_often(texts: int, texts_a_step: int, epochs: int) -> None:
    assert usual_epochs(texts, texts_a_step) == epochs
