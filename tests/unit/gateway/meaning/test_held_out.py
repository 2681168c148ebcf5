"""A version's held-out scores are read once for all who ask, and what is wrong with them is said in a sentence."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.errors import InvalidRequestError, ModelFailedError
from gateway.files import LocalFiles
from gateway.loaded_version import LoadedVersion
from gateway.meaning.held_out import KEPT, HeldOutScores
from repository.manifest import Manifest, digest_file
from repository.meaning.coverage import HELD_OUT_FILE
from tests.meaning_versions import write_calibrated
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant"}


class CountingFiles(LocalFiles):
    """Counts what is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: list[int] = []

    def read(self, number: int, name: str) -> bytes | None:
        self.reads.append(number)
        return super().read(number, name)


@pytest.fixture
def files(tmp_path: Path) -> CountingFiles:
    return CountingFiles(tmp_path)


def write(files: CountingFiles, number: int, limits: tuple[float, float] = (1.0, 2.0)) -> LoadedVersion:
    write_calibrated(files.model_folder / str(number), WORDS, 2.0, limits)
    return LoadedVersion.read(files, number)


def test_they_are_read_once_for_all_who_ask_at_once(files: CountingFiles) -> None:
    async def test() -> None:
        version, held_out = write(files, 1), HeldOutScores(files)
        found = await asyncio.gather(*(held_out.limits(version, coverage) for coverage in (0.8, 0.9) * 10))
        assert files.reads == [1]
        assert found[0].limits.tolist() == [1.0, 2.0]
        again = [await held_out.limits(version, 0.8) for _ in range(2)]
        assert again[0] is again[1], "limits are computed once for a coverage"

    asyncio.run(test())


def test_a_few_versions_are_kept(files: CountingFiles) -> None:
    async def test() -> None:
        held_out = HeldOutScores(files)
        versions = [write(files, number, (float(number), 9.0)) for number in range(1, KEPT + 2)]
        for version in [*versions, versions[-1], versions[0]]:
            assert (await held_out.limits(version, 0.8)).limits[0] == version.number
        assert files.reads == [*range(1, KEPT + 2), 1]

    asyncio.run(test())


def test_a_file_that_says_something_else_is_the_version_s_fault(
    files: CountingFiles, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        version = write(files, 1)
        folder = files.model_folder / "1"
        (folder / HELD_OUT_FILE).write_text('{"schema_version": 1, "labels": {}}')
        manifest = Manifest.read(folder)
        listed = {**manifest.files, HELD_OUT_FILE: digest_file(folder / HELD_OUT_FILE)}
        manifest.model_copy(update={"files": listed}).write(folder)
        with caplog.at_level(logging.ERROR), pytest.raises(ModelFailedError, match="cannot be read; the gateway's log"):
            await HeldOutScores(files).limits(version, 0.8)
        assert "is of other labels" in caplog.text

    asyncio.run(test())


def test_a_damaged_file_keeps_a_version_from_being_loaded(files: CountingFiles) -> None:
    write(files, 1)
    (files.model_folder / "1" / HELD_OUT_FILE).write_text("{}")
    with pytest.raises(Exception, match=f"{HELD_OUT_FILE} is not the file that manifest.json describes"):
        LoadedVersion.read(files, 1)


def test_what_a_version_cannot_keep_is_refused_with_a_number_that_it_can(files: CountingFiles) -> None:
    async def test() -> None:
        held_out, version = HeldOutScores(files), write(files, 1)
        with pytest.raises(InvalidRequestError, match=r"takes 39 groups .* has 20: ask for at most 0\.952") as refused:
            await held_out.limits(version, 0.975)
        assert str(refused.value).startswith("coverage=0.975")
        await held_out.limits(version, 0.952)
        plain = write_version(files.model_folder / "2", WORDS)
        with pytest.raises(InvalidRequestError, match="Version 2 has no held-out scores"):
            await held_out.limits(LoadedVersion.read(files, int(plain.name)), 0.8)

    asyncio.run(test())
