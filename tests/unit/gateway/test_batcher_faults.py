"""Whatever one sentence does in a step of the batcher, those beside it are answered, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from gateway import batcher as batcher_module
from gateway import rows as rows_module
from gateway.batcher import Batcher, BatchLimits
from gateway.errors import GatewayError, ModelFailedError, NotReadyError
from gateway.rows import Row
from repository.inference import Float32Array, Int64Array
from repository.manifest import Manifest
from tests.version_folders import write_version

LIMITS = BatchLimits(calls=2, tokens=64, sentences=16, waiting=100, deadline_s=20.0)
BAD = 666
PATIENCE_S = 10.0

Infer = Callable[[int, dict[str, Int64Array]], Awaitable[Float32Array]]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("faults") / "version"
    return Manifest.read(write_version(folder, {"cat": "Animal", "oak": "Plant"}))


async def first_ids(_: int, inputs: dict[str, Int64Array]) -> Float32Array:
    """Each row's first id and 0."""
    ids = inputs["input_ids"][:, 0]
    return np.stack([ids, 0 * ids], axis=1).astype(np.float32)


def answers(manifest: Manifest, infer: Infer = first_ids, observer: object = None) -> list[Row | BaseException]:
    """The answers to eight sentences at once, the fourth of which is bad, and to one more afterwards."""

    async def ask() -> list[Row | BaseException]:
        batcher = Batcher(infer, LIMITS, observer)  # type: ignore[arg-type]
        rows = [batcher.submit(1, manifest, [BAD if place == 3 else place, 7]) for place in range(8)]
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(*rows, return_exceptions=True)
            found += await asyncio.gather(batcher.submit(1, manifest, [8, 7]), return_exceptions=True)
        assert batcher.waiting == 0
        batcher.close()
        return found

    return asyncio.run(ask())


def assert_only_the_bad_one_fails(found: Sequence[Row | BaseException]) -> None:
    assert [row.logits[0] for row in found if isinstance(row, Row)] == [0, 1, 2, 4, 5, 6, 7, 8]
    assert isinstance(found[3], GatewayError)


def test_a_sentence_that_cannot_be_padded_costs_only_itself(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pad = batcher_module.pad_batch

    def pad_or_fail(ids: Sequence[Sequence[int]], *others: object) -> dict[str, Int64Array]:
        if any(BAD in row for row in ids):
            raise ZeroDivisionError
        return pad(ids, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(batcher_module, "pad_batch", pad_or_fail)
    assert_only_the_bad_one_fails(answers(manifest))


@pytest.mark.parametrize("error", [RuntimeError("nobody foresaw it"), ModelFailedError("an unknown id"), KeyError(3)])
def test_a_sentence_that_makes_triton_fail_costs_only_itself(manifest: Manifest, error: Exception) -> None:
    async def infer(version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        if (inputs["input_ids"] == BAD).any():
            raise error
        return await first_ids(version, inputs)

    assert_only_the_bad_one_fails(answers(manifest, infer))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda logits: logits[:-1],
        lambda logits: logits[:0],
        lambda logits: logits[:, :1],
        lambda logits: np.concatenate([logits, logits], axis=1),
        lambda logits: logits.reshape(-1),
        lambda _: None,
        lambda logits: np.full_like(logits, np.nan),
        lambda logits: logits.astype(str),
    ],
)
def test_logits_of_a_wrong_shape_or_kind_cost_only_the_sentence_that_causes_them(
    manifest: Manifest, spoil: Callable[[Float32Array], Float32Array]
) -> None:
    async def infer(version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        logits = await first_ids(version, inputs)
        return spoil(logits) if (inputs["input_ids"] == BAD).any() else logits

    assert_only_the_bad_one_fails(answers(manifest, infer))


def test_a_failing_choice_of_neighbours_costs_nobody_an_answer(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(batcher_module, "cheapest_batch", fail)
    assert [row.logits[0] for row in answers(manifest) if isinstance(row, Row)] == [0, 1, 2, BAD, 4, 5, 6, 7, 8]


def test_scores_that_cannot_be_computed_cost_only_their_sentence(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = rows_module.scores

    def scores_or_fail(logits: Float32Array, *others: object) -> Float32Array:
        if (logits == BAD).any():
            raise FloatingPointError
        return scores(logits, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(rows_module, "scores", scores_or_fail)
    assert_only_the_bad_one_fails(answers(manifest))


def test_metrics_that_cannot_be_counted_cost_nobody_an_answer(manifest: Manifest) -> None:
    class Failing:
        def called(self, *_: object) -> None:
            raise OSError("no space left for the metrics of several workers")

    found = answers(manifest, observer=Failing())
    assert [row.logits[0] for row in found if isinstance(row, Row)] == [0, 1, 2, BAD, 4, 5, 6, 7, 8]


def test_a_sentence_without_a_token_costs_only_itself(manifest: Manifest) -> None:
    """Requests with one are refused before; the batcher does not rely on it."""

    async def test() -> None:
        batcher = Batcher(first_ids, LIMITS)
        rows = [batcher.submit(1, manifest, ids) for ids in ([5], [], [6, 6], [], [7])]
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(*rows, return_exceptions=True)
        assert [row.logits[0] for row in found if isinstance(row, Row)] == [5, 6, 7]
        assert [type(row) for row in found[1::2]] == [ModelFailedError, ModelFailedError]

    asyncio.run(test())


def test_a_callback_that_fails_costs_nobody_an_answer(manifest: Manifest) -> None:
    async def test() -> None:
        def fail(_: object) -> None:
            raise RuntimeError

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        batcher = Batcher(first_ids, LIMITS)
        rows = [batcher.submit(1, manifest, [place]) for place in range(40)]
        rows[3].add_done_callback(fail)
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(*rows)
        assert [row.logits[0] for row in found] == list(range(40))

    asyncio.run(test())


def test_triton_s_own_trouble_is_told_to_all_at_once_and_tried_once(manifest: Manifest) -> None:
    calls = []

    async def infer(version: int, _: dict[str, Int64Array]) -> Float32Array:
        calls.append(version)
        raise NotReadyError("Triton is away")

    found = answers(manifest, infer)
    assert {type(row) for row in found} == {NotReadyError}
    assert len(calls) <= 3


@pytest.mark.parametrize("close_at_once", [False, True])
def test_nobody_waits_for_a_batcher_that_is_closed(manifest: Manifest, close_at_once: bool) -> None:
    async def test() -> None:
        async def never(*_: object) -> Float32Array:
            await asyncio.Event().wait()
            raise AssertionError

        batcher = Batcher(never, LIMITS)
        rows = [batcher.submit(1, manifest, [place]) for place in range(40)]
        for _ in range(1 if close_at_once else 5):
            await asyncio.sleep(0)
        batcher.close()
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(*rows, return_exceptions=True)
        assert {type(row) for row in found} == {asyncio.CancelledError}

    asyncio.run(test())


def test_places_are_kept_while_sentences_are_tokenized_and_given_back_on_every_way_out(manifest: Manifest) -> None:
    async def test() -> None:
        batcher = Batcher(first_ids, LIMITS)
        with batcher.admit(60) as places:
            assert batcher.waiting == 60
            with pytest.raises(GatewayError, match="60 sentences are waiting"):
                batcher.admit(41)
            with pytest.raises(RuntimeError), batcher.admit(40):
                raise RuntimeError
            places.hold(0)
            rows = [batcher.submit(1, manifest, [place]) for place in range(60)]
            assert batcher.waiting == 60
            await asyncio.gather(*rows)
            assert batcher.waiting == 0
            places.hold(60)  # a version is gone: they are tokenized anew
            assert batcher.waiting == 60
        assert batcher.waiting == 0

    asyncio.run(test())
