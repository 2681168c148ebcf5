"""The limit in figures: ONNX Runtime alone at each batch size and use of the cores, beside the processor's peak."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.arithmetic import graph_size, peak_operations_per_second
from benchmarks.measure.in_process import BATCH_SIZES, InProcess, Way, ways
from repository.manifest import MODEL_FILE


@dataclass(frozen=True)
class Limit:
    """What the model costs and what this machine can do."""

    rates: dict[tuple[int, Way], float]
    """Sentences a second by batch size and use of the cores."""
    mean_tokens: float
    operations_per_sentence: float
    peak: float
    """Floating-point operations a second."""

    @property
    def best(self) -> float:
        """Sentences a second at the best setting."""
        return max(self.rates.values())

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        rates = [
            {"batch_size": size, "threads": way.threads, "runs_at_a_time": way.runs, "sentences_per_second": rate}
            for (size, way), rate in self.rates.items()
        ]
        return {
            "rates": rates,
            "mean_tokens": self.mean_tokens,
            "operations_per_sentence": self.operations_per_sentence,
            "peak_operations_per_second": self.peak,
        }


def measure_limit(version: Path, sentences: Sequence[str], repeats: int = 3) -> Limit:
    """Measure a version folder on all cores, in both ways, and on one.

    Args:
        version: the version folder.
        sentences: what is asked; tokenization counts.
        repeats: rounds; the figures are their medians.
    """
    cores = len(os.sched_getaffinity(0))
    rates = {}
    lengths: list[int] = []
    for way in dict.fromkeys([*ways(), Way(1, 1)]):
        bare = InProcess.open(version, way)
        bare.classify(sentences[:64], 8)
        if not lengths:
            lengths = [len(encoding.ids) for encoding in bare.tokenizer.encode_batch_fast(list(sentences))]
        for batch_size in BATCH_SIZES:
            rates[batch_size, way] = statistics.median(bare.per_second(sentences, batch_size) for _ in range(repeats))
    size = graph_size(version / MODEL_FILE)
    each = statistics.mean(map(size.operations, lengths))
    return Limit(rates, statistics.mean(lengths), each, peak_operations_per_second(cores))
