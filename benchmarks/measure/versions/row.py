"""What is known of one version, as it is measured round by round."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from repository.inference import Float32Array
from repository.manifest import MODEL_FILE, Manifest
from training.figures.intervals import Interval


@dataclass(frozen=True)
class Quality:
    """What a user gets from a version, on texts that no model in the table was trained on."""

    figures: dict[str, Interval]
    """By the names of `training.figures.scores.scores`, with intervals over groups."""
    beside_pytorch: dict[str, Interval]
    """The same less those of the reference, on the same draws of groups."""
    agreement: float
    """Share of texts with the reference's answer."""
    confident: int
    """Texts on which the reference is not near a tie."""
    confident_changes: int
    """Of these, how many are answered otherwise."""


@dataclass
class Row:
    """A version and what was measured of it; a list has one figure for each round."""

    name: str
    folder: Path | None
    """None where there is no version."""
    note: str = ""
    """Why there are no figures, where there are none."""
    problem: str = ""
    """Why it could not be served, or no longer."""
    batches_per_second: list[float] = field(default_factory=list)
    """Sentences a second, ONNX Runtime alone, in batches of 32."""
    served_per_second: list[float] = field(default_factory=list)
    """Answers a second to GET over many connections."""
    alone_ms: list[float] = field(default_factory=list)
    """Median latency of GET over one connection."""
    memory_mb: list[float] = field(default_factory=list)
    """Triton and the gateway together, after the load."""
    logits: Float32Array | None = None
    """Served answers `[texts, labels]`, labels in the reference's order."""
    quality: Quality | None = None

    @property
    def graphs(self) -> list[Path]:
        """The graphs of the version; a cascade has more than one."""
        return sorted(self.folder.rglob("*.onnx")) if self.folder else []

    @property
    def is_one_graph(self) -> bool:
        """Whether ONNX Runtime alone can answer as the version does."""
        return self.folder is not None and self.graphs == [self.folder / MODEL_FILE]

    @property
    def size_bytes(self) -> int:
        """Of all graphs, with the weights beside them."""
        files = self.folder.rglob("*.onnx*") if self.folder else ()
        return sum(path.stat().st_size for path in files if path.is_file())

    @property
    def manifest(self) -> Manifest | None:
        """What the version says of itself."""
        return Manifest.read(self.folder) if self.folder else None

    def as_dict(self) -> dict[str, object]:
        """For JSON; the answers themselves are left out."""
        manifest, quality = self.manifest, self.quality
        parity = json.loads(manifest.parity.model_dump_json()) if manifest else None
        return {
            "name": self.name,
            "note": self.note,
            "problem": self.problem,
            "precision": manifest.precision.value if manifest else None,
            "size_bytes": self.size_bytes,
            "parity_at_export": parity,
            "batches_per_second": self.batches_per_second,
            "served_per_second": self.served_per_second,
            "alone_ms": self.alone_ms,
            "memory_mb": self.memory_mb,
            "quality": quality_as_dict(quality) if quality else None,
        }


def quality_as_dict(quality: Quality) -> dict[str, object]:
    """For JSON, in which a bound that does not exist is null."""
    return {
        "figures": {name: _bounds(each) for name, each in quality.figures.items()},
        "beside_pytorch": {name: _bounds(each) for name, each in quality.beside_pytorch.items()},
        "agreement": quality.agreement,
        "confident": quality.confident,
        "confident_changes": quality.confident_changes,
    }


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as much in the same round, smallest first; rounds that only one of both has are left out."""
    return sorted(a / b for a, b in zip(ours, theirs, strict=False))


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in interval.as_json().items()}
