"""Triton by itself under NVIDIA's perf_analyzer: concurrency, batch sizes and lengths, over HTTP and gRPC."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure.perf_analyzer import WINDOWS, Load, Measured, PerfAnalyzer, PerfAnalyzerError, write_inputs
from repository.inference import load_tokenizer
from repository.manifest import Manifest

Advance = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """The loads that are measured: each list is varied by itself, the other values stay at the first of theirs."""

    protocols: Sequence[str] = ("http", "grpc")
    concurrencies: Sequence[int] = (1, 2, 4, 8, 16)
    batch_sizes: Sequence[int] = (1, 4, 16)
    lengths: Sequence[int] = (16, 64, 128)
    window_ms: int = 2000

    def loads(self) -> list[Load]:
        """Every load, each once."""
        return list(dict.fromkeys(self._loads()))

    @property
    def seconds(self) -> float:
        """About how long the sweep takes."""
        return len(self.loads()) * (WINDOWS * self.window_ms / 1000 + 1.5)

    def _loads(self) -> Iterator[Load]:
        middle = self.concurrencies[len(self.concurrencies) // 2]
        for protocol in self.protocols:
            for concurrency in self.concurrencies:
                yield Load(protocol, concurrency, 1, None)
            for batch_size in self.batch_sizes:
                yield Load(protocol, middle, batch_size, self.lengths[0])
            for length in self.lengths:
                yield Load(protocol, middle, self.batch_sizes[-1], length)


@dataclass(frozen=True)
class Point:
    """One load with what was measured of it, or why it was not."""

    load: Load
    measured: Measured | None
    problem: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "load": asdict(self.load),
            "measured": self.measured.as_dict() if self.measured else None,
            "problem": self.problem,
        }


def run_sweep(
    analyzer: PerfAnalyzer,
    sweep: Sweep,
    version_folder: Path,
    model: str,
    addresses: dict[str, str],
    sentences: Sequence[str],
    advance: Advance,
) -> list[Point]:
    """Measure every load.

    Args:
        analyzer: the program.
        sweep: what is measured.
        version_folder: the version that Triton serves; its tokenizer makes the inputs.
        model: name of the model in Triton.
        addresses: host and port by protocol.
        sentences: real ones.
        advance: told of each load that is done.
    """
    manifest = Manifest.read(version_folder)
    tokenizer = load_tokenizer(version_folder, manifest.max_length)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]
    points = []
    with tempfile.TemporaryDirectory(prefix="inputs-") as folder:
        for load in sweep.loads():
            inputs = Path(folder, f"{load.length}.json")
            if not inputs.exists():
                write_inputs(inputs, ids, manifest.pad_token_id, load.length)
            version = int(version_folder.name)
            try:
                measured = analyzer.measure(load, model, version, addresses[load.protocol], inputs, sweep.window_ms)
                points.append(Point(load, measured))
            except PerfAnalyzerError as error:
                points.append(Point(load, None, str(error)))
            advance(f"{load.protocol} ×{load.concurrency}")
    return points
