"""Resident memory of the gateway, Triton and its backend over many swaps, and whether it stays where it was."""

import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PARTS = {"gateway": "gateway", "Triton": "tritonserver", "backend": "triton_python_backend_stub"}
"""Each part of the service, and a word of its command line that the others do not have."""
MOST_CHANGE = 0.05
"""By how much more a part may take after the second half of the swaps than after the first, as a share."""
MOST_GROWTH = 0.10
"""By how much more the gateway may take after any swap than after the second, as a share."""
MOST_TURNS = 5
"""Turns through the models at the end of a half that its mean is taken from."""


@dataclass(frozen=True)
class Sample:
    """What each part took at a moment, in MB; all processes of a part together."""

    second: float
    """Since the start."""
    swap: int
    """Number of the last one; 0 before the first."""
    settled: bool
    """Whether the version before was gone, so that only what stays is counted."""
    resident_mb: dict[str, float]
    """A page that two processes share counts in each (RSS)."""
    proportional_mb: dict[str, float]
    """A page that two processes share counts half in each (PSS)."""
    peak_mb: dict[str, float]
    """The most that one process of the part ever took (the kernel's VmHWM)."""
    processes: int
    """Of the backend, which has one for each version that is loaded."""


class MemoryLog:
    """Samples the processes below `launcher`."""

    def __init__(self, launcher: int) -> None:
        self.samples: list[Sample] = []
        self._launcher = psutil.Process(launcher)
        self._start = time.monotonic()

    def take(self, swap: int, settled: bool = False) -> None:
        """Add a sample."""
        resident, proportional, peak = (dict.fromkeys(PARTS, 0.0) for _ in range(3))
        processes = 0
        for process in self._launcher.children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                part = part_of(process.cmdline())
                if part is not None:
                    memory = process.memory_full_info()
                    resident[part] += memory.rss / 1e6
                    proportional[part] += memory.pss / 1e6
                    peak[part] = max(peak[part], _peak_mb(process.pid))
                    processes += part == "backend"
        second = time.monotonic() - self._start
        self.samples.append(Sample(second, swap, settled, resident, proportional, peak, processes))

    def as_dicts(self) -> list[dict[str, object]]:
        """For JSON."""
        return [asdict(sample) for sample in self.samples]


def _peak_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e6  # a process that ends has none


def part_of(command: Sequence[str]) -> str | None:
    """Which part of the service a command line is of; None: of none that is watched."""
    words = [word.rpartition("/")[2] for word in command[:3]]
    return next((part for part, word in PARTS.items() if word in words), None)


@dataclass(frozen=True)
class Level:
    """What one part took."""

    part: str
    after_second_mb: float
    most_mb: float
    """After any swap from the second on."""
    first_half_mb: float | None
    """Mean of the last whole turns through the models in the first half of the swaps; None where there is none."""
    second_half_mb: float | None
    peak_mb: float
    """The most of one process at any moment, while a version was read too."""

    @property
    def change(self) -> float | None:
        """From the first half to the second, as a share."""
        if self.first_half_mb is None or self.second_half_mb is None:
            return None
        return self.second_half_mb / self.first_half_mb - 1

    @property
    def failures(self) -> list[str]:
        """What this part takes too much of, a line each."""
        found = []
        if self.change is not None and self.change > MOST_CHANGE:
            found.append(f"{self.part}: {self.change:+.1%} in the second half")
        growth = self.most_mb / self.after_second_mb - 1
        if self.part == "gateway" and growth > MOST_GROWTH:
            found.append(f"{self.part}: {growth:+.1%} since the second swap")
        return found


def levels(samples: Sequence[Sample], turn: int) -> list[Level]:
    """What each part took in the settled samples; nothing before the second swap.

    Args:
        samples: of one run.
        turn: swaps after which the same model comes again: only whole turns compare with each other.
    """
    settled = {sample.swap: sample for sample in samples if sample.settled}
    swaps = sorted(settled)
    if 2 not in settled:
        return []
    half = len(swaps) // 2
    counted = turn * min(MOST_TURNS, half // turn)

    def mean(part: str, end: int) -> float | None:
        taken = [settled[swap].resident_mb[part] for swap in swaps[end - counted : end]]
        return statistics.mean(taken) if taken else None

    return [
        Level(
            part,
            settled[2].resident_mb[part],
            max(settled[swap].resident_mb[part] for swap in swaps if swap >= 2),
            mean(part, half),
            mean(part, len(swaps)),
            max(sample.peak_mb[part] for sample in samples),
        )
        for part in PARTS
    ]
