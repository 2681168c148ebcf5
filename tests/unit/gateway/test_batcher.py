"""The batcher: who shares a call, who is refused, who gives up a place; Triton is a function that can be held up."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from gateway.batcher import Batcher, BatchLimits
from gateway.errors import ModelFailedError, OverloadedError
from gateway.pace import SURE_CALLS, Pace
from gateway.rows import Row
from repository.inference import Float32Array, Int64Array
from repository.manifest import Manifest
from tests.version_folders import write_version

LIMITS = BatchLimits(calls=2, tokens=64, sentences=16, waiting=100, deadline_s=1.0)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return Manifest.read(
        write_version(tmp_path_factory.mktemp("batcher") / "version", {"cat": "Animal", "oak": "Plant"})
    )


class HeldTriton:
    """Answers each row with its first id, once it is released; remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[list[int]]]] = []
        self.released = asyncio.Event()

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        mask = inputs["attention_mask"]
        self.calls.append(
            (version, [row[: mask[place].sum()].tolist() for place, row in enumerate(inputs["input_ids"])])
        )
        await self.released.wait()
        ids = inputs["input_ids"][:, 0]
        if (ids == 666).any():
            raise ModelFailedError("an id that the graph does not know")
        return np.stack([ids, np.where(ids == 13, np.nan, 0)], axis=1).astype(np.float32)


def run(test: Callable[[HeldTriton, Batcher], Awaitable[None]], limits: BatchLimits = LIMITS) -> None:
    async def within() -> None:
        triton = HeldTriton()
        batcher = Batcher(triton.infer, limits)
        await test(triton, batcher)
        batcher.close()

    asyncio.run(within())


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_lone_sentence_leaves_at_once(manifest: Manifest) -> None:
    async def test(triton: HeldTriton, batcher: Batcher) -> None:
        batcher.submit(1, manifest, [5])
        await turn()
        assert triton.calls == [(1, [[5]])]

    run(test)


def test_what_waits_goes_with_its_neighbours_in_length_and_the_oldest_first(manifest: Manifest) -> None:
    async def test(triton: HeldTriton, batcher: Batcher) -> None:
        for first in (1, 2):  # fill both calls
            batcher.submit(1, manifest, [first])
            await turn()
        lengths = [30, 3, 28, 3, 29, 3, 3]
        rows = [batcher.submit(1, manifest, [100 + place] * length) for place, length in enumerate(lengths)]
        triton.released.set()
        answers = await asyncio.gather(*rows)
        assert [answer.logits[0] for answer in answers] == [100.0 + place for place in range(len(lengths))]
        later = [sorted(ids[0] for ids in batch) for _, batch in triton.calls[2:]]
        assert later[0] == [100, 104]  # the oldest with the one that is nearest; a third is past 64 tokens
        assert [101, 103, 105, 106] in later

    run(test)


def test_versions_never_share_a_call(manifest: Manifest) -> None:
    async def test(triton: HeldTriton, batcher: Batcher) -> None:
        rows = [batcher.submit(1 + place % 2, manifest, [place]) for place in range(8)]
        triton.released.set()
        await asyncio.gather(*rows)
        assert {(version, ids[0] % 2) for version, batch in triton.calls for ids in batch} == {(1, 0), (2, 1)}

    run(test)


def test_one_bad_sentence_costs_only_itself(manifest: Manifest) -> None:
    async def test(triton: HeldTriton, batcher: Batcher) -> None:
        rows = [batcher.submit(1, manifest, [first]) for first in (7, 666, 8, 13)]
        triton.released.set()
        answers = await asyncio.gather(*rows, return_exceptions=True)
        good, unknown, other, not_a_number = answers
        assert isinstance(good, Row)
        assert isinstance(other, Row)
        assert (good.logits[0], other.logits[0]) == (7.0, 8.0)
        assert isinstance(unknown, ModelFailedError)
        assert isinstance(not_a_number, ModelFailedError)
        assert "no finite number" in str(not_a_number)

    run(test)


def test_who_gives_up_while_waiting_is_not_computed(manifest: Manifest) -> None:
    async def test(triton: HeldTriton, batcher: Batcher) -> None:
        for first in (1, 2):
            batcher.submit(1, manifest, [first])
            await turn()
        gone = [batcher.submit(1, manifest, [9]) for _ in range(50)]
        assert batcher.waiting == 50
        for row in gone:
            row.cancel()
        await turn()
        assert batcher.waiting == 0
        triton.released.set()
        await turn()
        assert len(triton.calls) == 2

    run(test)


def test_past_the_bound_a_sentence_is_refused(manifest: Manifest) -> None:
    async def test(_: HeldTriton, batcher: Batcher) -> None:
        for first in range(2):
            batcher.submit(1, manifest, [first])
            await turn()
        for _ in range(100):
            with batcher.admit(1):
                pass
            batcher.submit(1, manifest, [1])
        with pytest.raises(OverloadedError, match="100 sentences are waiting"):
            batcher.admit(1)

    run(test)


def test_the_first_slow_calls_are_no_measure_of_the_backlog() -> None:
    """As after a start: a call of one sentence took 50 ms, and 30 more sentences gathered meanwhile."""
    pace = Pace()
    pace.backlog_begins(0.0)
    pace.call_ended(0.05, tokens=8)
    assert pace.wait_s(30 * 8) == 0.0
    for call in range(1, SURE_CALLS):
        pace.call_ended(0.05 + 0.02 * call, tokens=64)
    assert 0.05 < pace.wait_s(30 * 8) < 0.2


def test_the_pace_is_that_of_the_backlog_and_not_of_idle_calls() -> None:
    pace = Pace()
    pace.call_ended(10.0, tokens=3)
    assert pace.wait_s(1000) == 0.0
    pace.backlog_begins(20.0)
    for call in range(1, 6):
        pace.call_ended(20.0 + 0.1 * call, tokens=100)
    assert pace.wait_s(1000) == pytest.approx(1.0)
    pace.backlog_ends()
    pace.call_ended(99.0, tokens=1)
    assert pace.wait_s(1000) == pytest.approx(1.0)
