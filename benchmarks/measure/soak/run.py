"""Publishes version after version under a service that is asked without pause, and samples what its parts take."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure.service import running_service
from benchmarks.measure.soak.memory import MemoryLog, levels
from benchmarks.measure.soak.recovery import recoveries
from benchmarks.measure.soak.traffic import CheckedTraffic, Counts, Own, own_answers, some_requests
from benchmarks.measure.soak.versions import KINDS, some_texts, write_version
from repository.config import ModelConfig
from repository.store import ModelStore

MODEL_NAME = "soak"
SEEDS = 2
"""Versions of each model with other weights: a model does not come back with the answers that it had."""
DEADLINE_MS = 600_000
"""So long that nobody is refused for want of time: a soak is about answers and memory. While a large tokenizer is read
the gateway answers nobody, half a second on a quiet machine and several on a busy one; the times are shown, not
judged."""
TEXTS = 2_000
LONGEST_TEXT = 600
"""Words; each of the models cuts the longest."""
SETTLE_S = 1.5
"""From the first answer of a version on, until nothing is left of the one before."""
SWAP_S = 60.0
"""A version that has not answered by then is not going to."""
SAMPLE_S = 1.0
KEPT_VERSIONS = 3
REPORTED = 10
"""Swaps between two lines of progress."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much a run does."""

    swaps: int
    seconds: float
    """Over which the swaps are spread."""
    connections: int
    texts: int
    """Fewest that are asked: it goes on until they are."""
    kills: int = 0
    """Of Triton, and of the gateway, once nobody asks any more."""


@dataclass
class Soak:
    """What a run has found so far."""

    swaps: int = 0
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    memory: MemoryLog | None = None
    p99_ms: float = 0.0
    slowest_ms: float = 0.0
    swap_s: list[float] = field(default_factory=list)
    """From each publish to the version's first answer."""
    recovery_s: list[float] = field(default_factory=list)
    """From each kill to the first answer."""
    problem: str = ""
    """Why it ended before its time."""

    def figures(self) -> dict[str, float]:
        """What may be promised, by the names that the file of promises has for it; what was not measured is left out.

        The time of an answer is not among it: nobody promises one while every core is taken.
        """
        counts, found = self.counts, {}
        if counts.texts:
            found["failed_share"] = (counts.wrong + counts.failed) / counts.texts
        longest = {"swap_s": self.swap_s, "recovery_s": self.recovery_s}
        return {**found, **{name: max(seconds) for name, seconds in longest.items() if seconds}}

    def failures(self) -> list[str]:
        """What did not hold, a line each."""
        found = [self.problem] if self.problem else []
        if self.counts.wrong or self.counts.failed:
            found.append(f"{self.counts.wrong} wrong, {self.counts.failed} failed; {self.counts.problems[0]}")
        parts = levels(self.memory.samples, len(KINDS)) if self.memory else []
        return found + [failure for part in parts for failure in part.failures]


def run_soak(found: Soak, folder: Path, extent: Extent, report: Report) -> None:
    """Fill `found` while it runs, so that what there is survives an interruption; everything is written to `folder`.

    Raises:
        ServiceError: the service did not start.
    """
    report("writing versions, and asking each of them alone")
    texts = some_texts(TEXTS, LONGEST_TEXT)
    versions = [
        write_version(folder / f"version-{place}", KINDS[place % len(KINDS)], seed=place)
        for place in range(min(SEEDS * len(KINDS), extent.swaps + 1))
    ]
    own = [own_answers(version, texts) for version in versions]
    store = ModelStore(folder / "repository", MODEL_NAME)
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig(MODEL_NAME).to_pbtxt())
    store.publish(versions[0])
    with running_service(store.folder.parent, MODEL_NAME, DEADLINE_MS=str(DEADLINE_MS)) as service:
        found.memory = MemoryLog(service.pid)
        requests = some_requests(service.url, texts)
        with _traffic(found, CheckedTraffic(service.url, requests, extent.connections, _own_of(own))) as traffic:
            swapping = _Swapping(found, found.memory, traffic, report)
            for place in swapping.in_time(extent):
                swapping.swap(store, versions[place % len(versions)])
            swapping.wait(lambda: found.counts.texts >= extent.texts)
        if not found.failures():
            found.recovery_s.extend(recoveries(service, texts[0], extent.kills, report))


def _own_of(own: Sequence[Own]) -> Callable[[int], Own]:
    return lambda number: own[(number - 1) % len(own)]


@contextmanager
def _traffic(found: Soak, traffic: CheckedTraffic) -> Iterator[CheckedTraffic]:
    found.counts = traffic.counts
    start = time.monotonic()
    try:
        with traffic:
            yield traffic
    finally:
        found.seconds = time.monotonic() - start
        if traffic.result.latencies_ms:
            found.p99_ms = traffic.result.percentile_ms(0.99)
            found.slowest_ms = max(traffic.result.latencies_ms)


@dataclass
class _Swapping:
    found: Soak
    memory: MemoryLog
    traffic: CheckedTraffic
    report: Report

    def in_time(self, extent: Extent) -> Iterator[int]:
        """Number of each swap when it is due, from 1 on; ends early where something broke."""
        start = time.monotonic()
        self.wait_until(start + SETTLE_S)
        for swap in range(1, extent.swaps + 1):
            yield swap
            if self.found.problem or not self.traffic.is_running:
                return
            self.found.swaps = swap
            self.wait_until(max(time.monotonic() + SETTLE_S, start + swap * extent.seconds / extent.swaps))
            self.memory.take(swap, settled=True)
            if swap % REPORTED == 0 or swap == extent.swaps:
                self._tell(extent)

    def swap(self, store: ModelStore, version: Path) -> None:
        """Publish, and wait until the version answers."""
        start = time.monotonic()
        number = store.publish(version)
        store.prune(KEPT_VERSIONS)
        deadline = time.monotonic() + SWAP_S
        while number not in self.traffic.versions:
            if time.monotonic() > deadline:
                self.found.problem = f"version {number} did not answer within {SWAP_S:g} s"
                return
            if not self.traffic.is_running:
                return
            time.sleep(0.05)
        self.found.swap_s.append(time.monotonic() - start)

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Sample until then, or until something broke."""
        while self.traffic.is_running and not self.found.problem and not is_over():
            self.memory.take(self.found.swaps)
            time.sleep(SAMPLE_S)

    def wait_until(self, moment: float) -> None:
        """Sample until a moment on the monotonic clock."""
        self.wait(lambda: time.monotonic() + SAMPLE_S > moment)
        time.sleep(max(0.0, moment - time.monotonic()))

    def _tell(self, extent: Extent) -> None:
        parts = self.memory.samples[-1].resident_mb.items()
        counts = self.found.counts
        self.report(
            f"{self.found.swaps} of {extent.swaps} swaps, {counts.texts} texts, {counts.wrong} wrong, "
            f"{counts.failed} failed; {', '.join(f'{part} {taken:.0f} MB' for part, taken in parts)}"
        )
