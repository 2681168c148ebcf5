"""Two versions with tokenizers, and a Triton that is a script of answers, where a test has to say when it fails."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from gateway.batcher import Batcher, BatchLimits
from gateway.candidates.counts import Counts
from gateway.files import LocalFiles
from gateway.loaded_version import LoadedVersion
from gateway.metrics import Metrics
from repository.inference import Float32Array, Int64Array
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant"}


class Graphs:
    """Notes which version is asked; an inference raises what stands in `trouble`, and waits until `free`."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.trouble: dict[int, Exception] = {}
        self.logits: dict[int, list[float]] = {1: [2.0, 0.0], 2: [2.0, 0.0]}
        self.free = asyncio.Event()
        self.free.set()

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        self.asked.append(version)
        await self.free.wait()
        if version in self.trouble:
            raise self.trouble[version]
        return np.array([self.logits[version]] * len(inputs["input_ids"]), dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository") / "m"
    for number in (1, 2):
        write_version(folder / str(number), WORDS)
    return folder


@pytest.fixture(scope="module")
def versions(folder: Path) -> tuple[LoadedVersion, LoadedVersion]:
    """The current version, 1, and the candidate, 2."""
    files = LocalFiles(folder)
    return LoadedVersion.read(files, 1), LoadedVersion.read(files, 2)


@pytest.fixture
def graphs() -> Graphs:
    return Graphs()


@pytest.fixture
def batcher(graphs: Graphs) -> Batcher:
    return Batcher(graphs.infer, BatchLimits(calls=2, tokens=256, sentences=16, waiting=2000, deadline_s=5.0))


@pytest.fixture
def counts() -> Counts:
    return Counts(Metrics().of("classifier"), keeps_sentences=True)
