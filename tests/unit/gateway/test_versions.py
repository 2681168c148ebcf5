"""Which version answers while Triton is in trouble, or several Tritons disagree; Triton is a script of answers."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from gateway import spread
from gateway.errors import ModelFailedError, NotReadyError
from gateway.files import LocalFiles
from gateway.triton import READY, VersionState
from gateway.versions import VersionFollower
from repository.inference import Float32Array, Int64Array
from tests.version_folders import write_version


class ScriptedTriton:
    """Serves `ready`; inferences of a version raise what stands in `trouble`."""

    model_name = "m"

    def __init__(self, *ready: int) -> None:
        self.ready = list(ready)
        self.everywhere = set(ready)
        self.trouble: dict[int, Exception] = {}
        self.away = False

    async def versions(self) -> list[VersionState]:
        if self.away:
            raise NotReadyError("Triton is away")
        return [VersionState(number, READY, "") for number in sorted(self.ready, reverse=True)]

    async def is_everywhere(self, version: int) -> bool:
        return version in self.everywhere

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        if version in self.trouble:
            raise self.trouble[version]
        return np.zeros((len(inputs["input_ids"]), 2), dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        write_version(tmp_path / "m" / str(number), {"cat": "Animal", "oak": "Plant"})
    return tmp_path / "m"


def follower_of(triton: ScriptedTriton, folder: Path) -> VersionFollower:
    return VersionFollower(triton, LocalFiles(folder), 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("trouble", [NotReadyError("Triton is away"), TimeoutError()])
def test_triton_s_trouble_is_not_held_against_a_version(folder: Path, trouble: Exception) -> None:
    async def test() -> None:
        triton = ScriptedTriton(1)
        follower = follower_of(triton, folder)
        triton.trouble[1] = trouble
        for _ in range(8):
            await follower.refresh()
            assert "Triton" in follower.problem
            assert "publish" not in follower.problem
        assert not follower.rejected
        triton.trouble.clear()
        await follower.refresh()  # the first look after its recovery
        assert follower.ready().number == 1

    asyncio.run(test())


def test_a_version_that_fails_is_held_back_and_the_one_before_answers(folder: Path) -> None:
    async def test() -> None:
        triton = ScriptedTriton(1, 2)
        triton.trouble[2] = ModelFailedError("Version 2 failed in Triton.", "its own words")
        follower = follower_of(triton, folder)
        await follower.refresh()
        assert follower.ready().number == 1
        assert follower.failures() == {2: "its own words"}

    asyncio.run(test())


def test_a_gateway_waits_until_a_new_version_is_everywhere_and_stays_with_it(folder: Path) -> None:
    async def test() -> None:
        triton = ScriptedTriton(1)
        follower = follower_of(triton, folder)
        await follower.refresh()
        triton.ready.append(2)  # one of several Tritons has it
        for _ in range(5):
            await follower.refresh()
            assert follower.ready().number == 1
        triton.everywhere.add(2)
        await follower.refresh()
        assert follower.ready().number == 2
        triton.everywhere.discard(2)  # a Triton that was just started
        await follower.refresh()
        assert follower.ready().number == 2
        await follower.refresh(lost=2)  # nobody that could be met had it
        assert follower.ready().number == 1
        await follower.refresh()
        assert follower.ready().number == 1

    asyncio.run(test())


def test_a_version_that_one_triton_never_gets_is_not_waited_for_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "SPREAD_S", 0.05)

    async def test() -> None:
        triton = ScriptedTriton(1)
        follower = follower_of(triton, folder)
        await follower.refresh()
        triton.ready.append(2)
        await follower.refresh()
        await asyncio.sleep(0.1)
        await follower.refresh()
        assert follower.ready().number == 2

    asyncio.run(test())


def test_the_only_version_is_kept_although_no_triton_had_it_a_moment_ago(folder: Path) -> None:
    async def test() -> None:
        follower = follower_of(ScriptedTriton(1), folder)
        await follower.refresh()
        await follower.refresh(lost=1)
        assert follower.ready().number == 1

    asyncio.run(test())


def test_a_version_is_known_to_be_gone_only_from_a_triton_that_answers(folder: Path) -> None:
    async def test() -> None:
        triton = ScriptedTriton(1)
        follower = follower_of(triton, folder)
        assert not follower.lacks(1)  # nobody has looked yet
        await follower.refresh()
        assert not follower.lacks(1)
        triton.ready.remove(1)
        await follower.refresh()
        assert not follower.lacks(1)  # it is in the repository: a Triton that has just begun may load it
        triton.ready.append(2)
        await follower.refresh()
        assert follower.lacks(1)  # a newer one took its place
        assert not follower.lacks(2)
        shutil.rmtree(folder / "2")
        triton.ready.clear()
        triton.away = True
        await follower.refresh()
        assert not follower.lacks(2)
        triton.away = False
        await follower.refresh()
        assert follower.lacks(2)

    asyncio.run(test())
