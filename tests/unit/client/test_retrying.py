"""Which waits there are between attempts."""

import random
from collections.abc import Sequence
from email.utils import formatdate

import pytest

from text_classifier_client.retrying import Backoff, Failure, told_s


def waits(seed: int, failures: Sequence[Failure], retries: int = 10) -> list[float | None]:
    backoff = Backoff(retries, base_s=0.1, most_s=1.0, random_of=random.Random(seed))
    return [backoff.wait_s(number, failure) for number, failure in enumerate(failures, start=1)]


def test_waits_are_anything_up_to_a_bound_that_doubles() -> None:
    bounds = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    columns = list(zip(*(waits(seed, [Failure()] * 6) for seed in range(400)), strict=True))
    for bound, found in zip(bounds, columns, strict=True):
        known = [wait for wait in found if wait is not None]
        assert len(known) == 400
        assert 0 <= min(known) < 0.05 * bound
        assert 0.95 * bound < max(known) <= bound
        assert 0.4 * bound < sum(known) / 400 < 0.6 * bound


def test_the_same_seed_gives_the_same_waits_and_another_one_others() -> None:
    assert waits(1, [Failure()] * 5) == waits(1, [Failure()] * 5) != waits(2, [Failure()] * 5)


def test_what_the_server_asks_for_is_waited_for_and_the_jitter_comes_on_top() -> None:
    found = {waits(seed, [Failure(told_s=7.0)])[0] for seed in range(50)}
    assert all(wait is not None and 7.0 <= wait <= 7.1 for wait in found)
    assert len(found) == 50


def test_it_is_given_up_after_so_many_retries_and_where_the_server_asks_for_too_long() -> None:
    assert waits(1, [Failure()] * 4, retries=3)[2:] == [pytest.approx(0.2, abs=0.2), None]
    assert waits(1, [Failure()], retries=0) == [None]
    assert waits(1, [Failure(told_s=301)]) == [None]


def test_a_dropped_connection_is_followed_by_another_at_once_but_only_the_first_time() -> None:
    first, second = waits(3, [Failure(dropped=True)] * 2)
    assert first == 0.0
    assert second is not None
    assert 0 < second <= 0.2


def test_a_thousandth_retry_does_not_overflow() -> None:
    wait = Backoff(10_000, most_s=10).wait_s(9_999, Failure())
    assert wait is not None
    assert wait <= 10


NOON = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": formatdate(NOON + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOON - 90, usegmt=True)}, 0.0),
        # This machine's clock is an hour ahead of the server's.
        ({"retry-after": formatdate(NOON - 3595, usegmt=True), "date": formatdate(NOON - 3600, usegmt=True)}, 5.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 99:00:00 GMT"}, None),
        ({"retry-after": "9" * 400}, 999_999_999_999.0),
        ({"retry-after": "٣"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], expected: float | None) -> None:
    assert told_s(headers, now=lambda: NOON) == expected
