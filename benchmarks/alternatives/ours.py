"""This server over the checkpoint that the alternatives serve, exported and published as a user would."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.service import running_service
from repository.config import ModelConfig
from repository.store import ModelStore

MODEL_NAME = "classifier"
# Enough for the export to tell a good graph from a broken one.
COMPARED_SENTENCES = 64

Report = Callable[[str], None]


@dataclass(frozen=True)
class Ours:
    """This server while it runs."""

    url: str
    """Of the gateway."""
    pid: int
    """Of the launcher."""
    version: Path
    """The version folder that it serves."""


@contextlib.contextmanager
def running_ours(checkpoint: Path, sentences: Sequence[str], report: Report) -> Iterator[Ours]:
    """The checkpoint in fp32 behind Triton and the gateway, in a repository of its own.

    Raises:
        BenchmarkError: the checkpoint cannot be exported.
        ServiceError: the service does not start.
    """
    with tempfile.TemporaryDirectory(prefix="ours-") as temporary:
        folder = Path(temporary)
        (folder / "sentences.txt").write_text("\n".join(sentences[:COMPARED_SENTENCES]), encoding="utf-8")
        report("python -m export --precision fp32")
        options = ["--precision", "fp32", "--output", folder / "version", "--data", folder / "sentences.txt"]
        command = [sys.executable, "-m", "export", checkpoint, *options]
        # A process of its own: what the export leaves in memory does not slow what is measured here.
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise BenchmarkError((done.stderr.strip().splitlines() or ["the export failed"])[-1])
        store = ModelStore(folder / "repository", MODEL_NAME)
        store.folder.mkdir(parents=True)
        store.ensure_config(ModelConfig(MODEL_NAME).to_pbtxt())
        number = store.publish(folder / "version")
        with running_service(store.folder.parent, MODEL_NAME) as service:
            yield Ours(service.url, service.pid, store.folder / str(number))
