"""A job asks in moments in which nobody else is being answered, and for little where others are about."""

import asyncio
from dataclasses import dataclass

import pytest

from gateway.jobs import lane as lanes
from gateway.jobs.lane import Lane


@dataclass
class Others:
    """A batcher as the lane sees it."""

    is_idle: bool = True
    calls_begun: int = 0


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for long enough, at any moment."""
    monkeypatch.setattr(lanes, "QUIET_S", -1.0)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has just asked, at any moment."""
    monkeypatch.setattr(lanes, "QUIET_S", 1e9)
    monkeypatch.setattr(lanes, "REST", 0.0)


def lane_of(others: Others, calls: int = 2, tokens: int = 256) -> Lane:
    return Lane(lambda: [others, Others()], calls, tokens)


async def some_turns(lane: Lane, count: int) -> list["asyncio.Task[int]"]:
    turns = [asyncio.create_task(lane.turn()) for _ in range(count)]
    for _ in range(20):
        await asyncio.sleep(lanes.PAUSE_S)
    return turns


@pytest.mark.usefixtures("quiet")
def test_nothing_begins_while_somebody_is_being_answered(others: Others) -> None:
    async def run() -> None:
        others.is_idle = False
        lane = lane_of(others)
        (turn,) = await some_turns(lane, 1)
        spare = asyncio.create_task(lane.spare())
        await asyncio.sleep(3 * lanes.PAUSE_S)
        assert not turn.done()
        assert not spare.done()
        others.is_idle = True
        await turn
        await spare

    asyncio.run(run())


@pytest.mark.usefixtures("quiet")
def test_while_nobody_asks_as_many_calls_as_may_be_are_under_way(others: Others) -> None:
    async def run() -> None:
        lane = lane_of(others, calls=2)
        turns = await some_turns(lane, 3)
        assert [turn.done() for turn in turns] == [True, True, False]
        lane.ended(64, 0.01)
        await turns[2]

    asyncio.run(run())


@pytest.mark.usefixtures("busy")
def test_while_others_ask_there_is_one_call(others: Others) -> None:
    async def run() -> None:
        lane = lane_of(others, calls=2)
        turns = await some_turns(lane, 2)
        assert [turn.done() for turn in turns] == [True, False]
        lane.ended(64, 0.01)
        await turns[1]

    asyncio.run(run())


@pytest.mark.usefixtures("busy")
def test_after_a_call_it_rests_while_others_ask(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(lanes, "REST", 1e6)
        lane = lane_of(others)
        await lane.turn()
        lane.ended(64, 0.01)
        (turn,) = await some_turns(lane, 1)
        assert not turn.done()
        turn.cancel()

    asyncio.run(run())


def test_a_call_of_others_that_came_and_went_between_two_looks_is_seen(
    others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "QUIET_S", 0.05)

    async def run() -> None:
        lane = lane_of(others, calls=2)
        while not lane._is_quiet(lanes.time.monotonic()):
            await lane.spare()
            await asyncio.sleep(0.01)
        await lane.turn()
        others.calls_begun += 1
        monkeypatch.setattr(lanes, "QUIET_S", 1e9)
        (turn,) = await some_turns(lane, 1)
        assert not turn.done()
        turn.cancel()

    asyncio.run(run())


@pytest.mark.usefixtures("quiet")
def test_while_nobody_asks_a_call_is_as_large_as_any(others: Others) -> None:
    async def run() -> None:
        lane = lane_of(others)
        for pace_s in (1.0, 0.0001):
            assert await lane.turn() == 256
            lane.ended(100, 100 * pace_s)

    asyncio.run(run())


@pytest.mark.parametrize(("pace_s", "tokens"), [(0.0005, 10), (0.00001, 256), (1.0, 1)])
@pytest.mark.usefixtures("busy")
def test_while_others_ask_a_call_is_as_large_as_its_time_allows(others: Others, pace_s: float, tokens: int) -> None:
    async def run() -> None:
        lane = lane_of(others)
        assert await lane.turn() == lanes.FIRST_TOKENS
        lane.ended(100, 100 * pace_s)
        assert await lane.turn() == tokens

    asyncio.run(run())
