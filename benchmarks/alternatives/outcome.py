"""What came of measuring an alternative: figures in pairs with this server's, or the reason why there are none."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.alternatives.environments import locked_version
from benchmarks.alternatives.registry import Alternative
from benchmarks.measure.http_load import RUN_UP_S, LoadResult

ENOUGH_FOR_P99 = 1000
"""Answers below which a 99th percentile is a matter of fewer than ten of them, and is not shown."""


@dataclass(frozen=True)
class Loads:
    """How an alternative is loaded."""

    connections: tuple[int, ...] = (1, 64)
    seconds: float = 4.0
    """Of each load."""
    run_up_s: float = RUN_UP_S
    """Before each, until batches are full."""
    rounds: int = 5
    """Paired: this server and the alternative, one right after the other."""

    @property
    def seconds_each(self) -> float:
        """About how long an alternative takes, starting it included."""
        return 40 + 2 * len(self.connections) * (self.rounds + 0.5) * (self.seconds + self.run_up_s + 1)


@dataclass(frozen=True)
class Figures:
    """What one load gave, or several together."""

    per_second: float
    p50_ms: float
    p99_ms: float | None
    """None where there were too few answers."""
    answers: int

    @classmethod
    def of(cls, results: Sequence[LoadResult]) -> "Figures":
        """The median of the rates, and percentiles of all answers together."""
        together = LoadResult(latencies_ms=[latency for result in results for latency in result.latencies_ms])
        answers = len(together.latencies_ms)
        return cls(
            statistics.median(result.per_second for result in results),
            together.percentile_ms(0.5),
            together.percentile_ms(0.99) if answers >= ENOUGH_FOR_P99 else None,
            answers,
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"per_second": self.per_second, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms, "answers": self.answers}


@dataclass
class Outcome:
    """What was measured of an alternative, or why nothing was."""

    alternative: Alternative
    reason: str = ""
    """Why there are no figures."""
    pairs: dict[int, list[tuple[LoadResult, LoadResult]]] = field(default_factory=dict)
    """Theirs and ours of each round, by the number of connections."""
    memory_mb: float = 0.0
    """Of all its processes, after the last load."""
    our_memory_mb: float = 0.0

    @property
    def version(self) -> str:
        """Of its package, or the image's tag."""
        alternative = self.alternative
        if not alternative.environment:
            return alternative.package.rpartition(":")[2]
        return locked_version(alternative.environment, alternative.package)

    def figures(self, connections: int, ours: bool = False) -> Figures:
        """Of all rounds."""
        return Figures.of([pair[1 if ours else 0] for pair in self.pairs[connections]])

    def ratios(self, connections: int) -> list[float]:
        """Answers a second, theirs as a multiple of ours, of each round; smallest first."""
        return sorted(theirs.per_second / ours.per_second for theirs, ours in self.pairs[connections])

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        pairs = [
            {"connections": connections, "theirs": Figures.of([theirs]).as_dict(), "ours": Figures.of([ours]).as_dict()}
            for connections, rounds in self.pairs.items()
            for theirs, ours in rounds
        ]
        alternative = self.alternative
        said = {"name": alternative.name, "title": alternative.title, "settings": alternative.settings}
        memory = {"memory_mb": self.memory_mb, "our_memory_mb": self.our_memory_mb}
        return {**said, "version": self.version, "reason": self.reason, **memory, "pairs": pairs}
