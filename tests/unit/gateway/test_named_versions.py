"""A version that is asked for by its number is tried before it answers, once for all who ask; Triton is a script."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway import named_versions
from gateway.errors import InvalidRequestError, ModelFailedError, NotReadyError
from gateway.files import LocalFiles
from gateway.named_versions import KEPT, NamedVersions
from gateway.versions import VersionFollower
from repository.inference import Float32Array, Int64Array
from tests.unit.gateway.test_versions import ScriptedTriton
from tests.version_folders import write_version
from tests.waiting import wait_until

NEWEST = 5


class CountingTriton(ScriptedTriton):
    """Counts the inferences of each version, and takes a moment for each."""

    def __init__(self, *ready: int) -> None:
        super().__init__(*ready)
        self.asked: list[int] = []

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        self.asked.append(version)
        await asyncio.sleep(0.01)
        return await super().infer(version, inputs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(1, NEWEST + 1):
        write_version(tmp_path / "m" / str(number), {"cat": "Animal", "oak": "Plant"})
    return tmp_path / "m"


async def named_of(triton: ScriptedTriton, folder: Path, pinned: int | None = None) -> NamedVersions:
    files = LocalFiles(folder)
    follower = VersionFollower(triton, files, 0.1, pinned)  # type: ignore[arg-type]
    await follower.refresh()
    return NamedVersions(triton, files, follower, pinned, 8)  # type: ignore[arg-type]


def test_a_version_is_tried_once_for_all_who_ask_for_it_at_once(folder: Path) -> None:
    async def test() -> None:
        triton = CountingTriton(1, NEWEST)
        named = await named_of(triton, folder)
        found = await asyncio.gather(*(named.get(1) for _ in range(5)), named.get(NEWEST))
        assert [version.number for version in found] == [1] * 5 + [NEWEST]
        assert (await named.get(1)) is found[0]
        assert triton.asked == [NEWEST, 1]

    asyncio.run(test())


def test_a_caller_who_gives_up_does_not_undo_the_trial(folder: Path) -> None:
    async def test() -> None:
        triton = CountingTriton(1, NEWEST)
        named = await named_of(triton, folder)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await named.get(1)
        assert (await named.get(1)).number == 1
        assert triton.asked.count(1) == 1

    asyncio.run(test())


def test_no_more_than_a_few_are_kept(folder: Path) -> None:
    async def test() -> None:
        triton = CountingTriton(*range(1, NEWEST + 1))
        named = await named_of(triton, folder)
        for number in range(1, NEWEST):
            await named.get(number)
        assert triton.asked.count(1) == 1
        await named.get(1)
        assert triton.asked.count(1) == 2
        assert len(named._loaded) == KEPT

    asyncio.run(test())


def test_what_triton_lets_go_and_what_becomes_current_is_let_go_without_being_asked_for(folder: Path) -> None:
    async def test() -> None:
        triton = CountingTriton(1, 2, 3)
        files = LocalFiles(folder)
        follower = VersionFollower(triton, files, 0.01)  # type: ignore[arg-type]
        named = NamedVersions(triton, files, follower, None, 8)  # type: ignore[arg-type]
        follower.after_look = named.forget_gone
        await follower.refresh()
        for number in (1, 2):
            await named.get(number)
        follows = asyncio.create_task(follower.run())
        triton.ready = [2, 3]
        await asyncio.to_thread(wait_until, lambda: set(named._loaded) == {2}, 5, "1 is let go")
        triton.ready = [2]  # rolled back
        await asyncio.to_thread(wait_until, lambda: not named._loaded, 5, "2 is let go")
        follows.cancel()
        assert follower.current is not None
        assert follower.current.number == 2

    asyncio.run(test())


def test_a_version_whose_files_were_touched_is_tried_again(folder: Path) -> None:
    async def test() -> None:
        triton = CountingTriton(1, NEWEST)
        named = await named_of(triton, folder)
        before = await named.get(1)
        (folder / "1" / "model.onnx").touch()
        assert (await named.get(1)) is not before
        assert triton.asked.count(1) == 2

    asyncio.run(test())


def test_what_is_not_served_or_not_allowed_is_refused_in_words(folder: Path) -> None:
    async def test() -> None:
        named = await named_of(CountingTriton(1, NEWEST), folder)
        with pytest.raises(InvalidRequestError, match="Version 2 is not served: GET /models"):
            await named.get(2)
        pinned = await named_of(CountingTriton(1, NEWEST), folder, pinned=1)
        assert (await pinned.get(1)).number == 1
        with pytest.raises(InvalidRequestError, match="answers with version 1 alone"):
            await pinned.get(NEWEST)

    asyncio.run(test())


def test_a_version_that_answers_otherwise_than_at_export_is_refused_for_a_while(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "1")
    write_version(folder / "1", {"cat": "Animal", "oak": "Plant"}, golden=["cat", "oak"])  # zeros are another answer

    async def test() -> None:
        triton = CountingTriton(1, NEWEST)
        named = await named_of(triton, folder)
        for _ in range(3):
            with pytest.raises(InvalidRequestError, match="does not answer as it did at export"):
                await named.get(1)
        tries = triton.asked.count(1)
        monkeypatch.setattr(named_versions, "PAUSE_S", 0.0)
        named._refused.clear()
        with pytest.raises(InvalidRequestError, match="does not answer"):
            await named.get(1)
        assert triton.asked.count(1) == 2 * tries

    asyncio.run(test())


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (NotReadyError("Triton is away"), NotReadyError),
        (TimeoutError(), NotReadyError),
        (ModelFailedError("It failed.", "its own words"), InvalidRequestError),
    ],
)
def test_only_what_is_the_version_s_own_fault_is_held_against_it(
    folder: Path, trouble: Exception, error: type[Exception]
) -> None:
    async def test() -> None:
        triton = CountingTriton(1, NEWEST)
        named = await named_of(triton, folder)
        triton.trouble[1] = trouble
        with pytest.raises(error):
            await named.get(1)
        triton.trouble.clear()
        if error is NotReadyError:
            assert (await named.get(1)).number == 1
        else:
            with pytest.raises(InvalidRequestError):
                await named.get(1)

    asyncio.run(test())
