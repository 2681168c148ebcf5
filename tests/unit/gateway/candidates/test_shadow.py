"""Mirrored sentences wait for everybody else, are dropped where there is no time, and are counted as they come out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from gateway.batcher import Batcher
from gateway.candidates.counts import Counts
from gateway.candidates.shadow import MOST_CHARACTERS, MOST_WAITING, Shadow
from gateway.classifier import Prediction, Predictions
from gateway.encoding import Text
from gateway.errors import GatewayError, ModelFailedError, NotReadyError, VersionGoneError
from gateway.loaded_version import LoadedVersion
from repository.candidates.tally import Tally
from tests.unit.gateway.candidates.conftest import Graphs

Pair = tuple[LoadedVersion, LoadedVersion]


def answered(version: LoadedVersion, count: int) -> Predictions:
    scores = np.array([0.88, 0.12], dtype=np.float32)
    return Predictions(version, [Prediction(scores, scores, 0.0, None, 3, 0)] * count)


def shadow_of(batcher: Batcher, counts: Counts, share: float = 1.0, chance: float = 0.1) -> Shadow:
    """Each draw is the same: of 0.1, every sentence is mirrored and timed."""
    return Shadow(batcher, counts, share, deadline_s=5.0, threshold=0.5, chance=lambda: chance)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def running(shadow: Shadow, test: Callable[[], Awaitable[None]]) -> None:
    """Run the test beside what works off the queue."""

    async def both() -> None:
        task = asyncio.create_task(shadow.run())
        try:
            await test()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(both())


def tally_of(counts: Counts) -> Tally:
    assert counts.tally is not None
    return counts.tally


def test_a_sentence_is_compared_and_what_differs_is_kept(
    versions: Pair, graphs: Graphs, batcher: Batcher, counts: Counts
) -> None:
    current, candidate = versions
    shadow = shadow_of(batcher, counts)

    async def test() -> None:
        shadow.mirror(candidate, [Text("cat")], None, answered(current, 1))
        await until(lambda: counts.tally is not None and tally_of(counts).overall.compared == 1)
        graphs.logits[2] = [0.0, 3.0]
        shadow.mirror(candidate, [Text("oak", "cat")], None, answered(current, 1))
        await until(lambda: tally_of(counts).overall.compared == 2)

    running(shadow, test)
    tally = tally_of(counts)
    assert (tally.version, tally.against) == (2, 1)
    assert (tally.overall.agreed, tally.overall.confident_changes) == (1, 1)
    assert tally.timed == 2
    assert tally.mean_shift == pytest.approx((0.88 - 0.88 + 0.047 - 0.88) / 2, abs=0.01)
    (change,) = tally.changes
    assert (change.sentence, change.current_label, change.label) == ("oak | cat", "Animal", "Plant")


def test_sentences_are_not_kept_where_they_may_not_be_logged(versions: Pair, graphs: Graphs, batcher: Batcher) -> None:
    from gateway.metrics import Metrics

    counts = Counts(Metrics().of("classifier"), keeps_sentences=False)
    shadow = shadow_of(batcher, counts)
    graphs.logits[2] = [0.0, 3.0]

    async def test() -> None:
        shadow.mirror(versions[1], [Text("cat")], None, answered(versions[0], 1))
        await until(lambda: counts.tally is not None and tally_of(counts).overall.compared == 1)

    running(shadow, test)
    assert tally_of(counts).changes == []
    assert "cat" not in tally_of(counts).model_dump_json()


@pytest.mark.parametrize("sentences", [1, 20])
def test_nothing_is_asked_while_a_live_sentence_waits_or_is_being_answered(
    versions: Pair,
    graphs: Graphs,
    batcher: Batcher,
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
    sentences: int,
) -> None:
    monkeypatch.setattr("gateway.candidates.shadow.STARVED_S", 1000.0)
    current, candidate = versions
    shadow = shadow_of(batcher, counts, chance=0.9, share=0.95)

    async def test() -> None:
        graphs.free.clear()
        live = [batcher.submit(1, current.manifest, [2, 4, 3]) for _ in range(sentences)]
        shadow.mirror(candidate, [Text("cat")], None, answered(current, 1))
        await asyncio.sleep(0.3)
        assert 2 not in graphs.asked
        graphs.free.set()
        await asyncio.gather(*live)
        await until(lambda: 2 in graphs.asked)

    running(shadow, test)


def test_a_busy_service_that_answers_soon_enough_tries_a_few_all_the_same(
    versions: Pair, graphs: Graphs, batcher: Batcher, counts: Counts
) -> None:
    shadow = shadow_of(batcher, counts, chance=0.9, share=0.95)

    async def test() -> None:
        graphs.free.clear()
        live = [batcher.submit(1, versions[0].manifest, [2, 4, 3])]  # one of the two calls, all the time
        shadow.mirror(versions[1], [Text("cat")], None, answered(versions[0], 1))
        await until(lambda: 2 in graphs.asked)
        graphs.free.set()
        await asyncio.gather(*live)

    running(shadow, test)


@pytest.mark.parametrize(("texts", "kept"), [(["cat"] * 400, MOST_WAITING), (["c" * (MOST_CHARACTERS // 3)] * 4, 3)])
def test_what_waits_is_bounded_and_what_is_dropped_is_counted(
    versions: Pair, batcher: Batcher, counts: Counts, texts: list[str], kept: int
) -> None:
    shadow = shadow_of(batcher, counts)
    shadow.mirror(versions[1], [Text(text) for text in texts], None, answered(versions[0], len(texts)))
    assert tally_of(counts).dropped == len(texts) - kept


def test_the_candidate_s_own_answers_are_not_mirrored_to_it(versions: Pair, batcher: Batcher, counts: Counts) -> None:
    shadow_of(batcher, counts).mirror(versions[1], [Text("cat")] * 400, None, answered(versions[1], 400))
    assert counts.tally is None


@pytest.mark.parametrize(
    ("trouble", "errors", "dropped"),
    [
        ({2: ModelFailedError("NaN")}, 1, 0),
        ({2: ModelFailedError("NaN"), 1: ModelFailedError("NaN, too")}, 0, 1),
        ({2: NotReadyError("Triton is away")}, 0, 1),
        ({2: VersionGoneError("It is gone", 2)}, 0, 1),
    ],
)
def test_only_what_the_current_version_answers_is_held_against_the_candidate(
    versions: Pair,
    graphs: Graphs,
    batcher: Batcher,
    counts: Counts,
    trouble: dict[int, GatewayError],
    errors: int,
    dropped: int,
) -> None:
    shadow = shadow_of(batcher, counts, chance=0.9, share=0.95)
    graphs.trouble.update(trouble)

    async def test() -> None:
        shadow.mirror(versions[1], [Text("cat")], None, answered(versions[0], 1))
        await until(lambda: counts.tally is not None and bool(tally_of(counts).errors or tally_of(counts).dropped))

    running(shadow, test)
    assert (tally_of(counts).errors, tally_of(counts).dropped) == (errors, dropped)
