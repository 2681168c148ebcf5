"""When a second request is sent, and how many there may be."""

import pytest

from text_classifier_client.hedging import LEAST_SEEN, MOST_SAVED, Hedging


def test_without_it_there_is_none() -> None:
    assert Hedging(None, 0.05).delay_s(1) is None


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 1.0])
def test_hedges_never_exceed_their_share_of_the_requests(share: float) -> None:
    hedging, taken = Hedging(0.2, share), 0
    for number in range(1, 1001):
        assert hedging.delay_s(1) == 0.2
        taken += hedging.take()  # every request is slow
        assert taken <= share * number + 1e-6
    assert taken >= 0.98 * share * 1000


def test_a_quiet_time_saves_up_no_more_than_a_few() -> None:
    hedging = Hedging(0.2, 0.05)
    for _ in range(100_000):
        hedging.delay_s(1)
    assert sum(hedging.take() for _ in range(100)) == MOST_SAVED


def test_p95_waits_until_enough_is_known_and_then_for_as_long_as_nearly_all_took() -> None:
    hedging = Hedging("p95", 0.05)
    for number in range(LEAST_SEEN):
        assert hedging.delay_s(8) is None
        hedging.answered(8, (number + 1) / 100)
    assert hedging.delay_s(8) == pytest.approx(0.19)
    assert hedging.delay_s(15) == pytest.approx(0.19), "of like size"


def test_p95_holds_requests_against_those_of_like_size() -> None:
    hedging = Hedging("p95", 0.05)
    for _ in range(LEAST_SEEN):
        hedging.answered(1, 0.01)
        hedging.answered(64, 0.5)
    assert (hedging.delay_s(1), hedging.delay_s(64), hedging.delay_s(16)) == (0.01, 0.5, None)


def test_p95_follows_what_is_slower_now() -> None:
    hedging = Hedging("p95", 0.05)
    for seconds in [0.01] * 300 + [1.0] * 100:
        hedging.answered(1, seconds)
    assert hedging.delay_s(1) == 1.0
