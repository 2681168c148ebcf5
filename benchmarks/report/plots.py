"""Plots of the results, as PNG."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure.load_sweep import LoadPoint
from benchmarks.measure.soak.memory import PARTS, Sample
from benchmarks.measure.tuning import Trial

matplotlib.use("Agg")


def plot_load(points: Sequence[LoadPoint], path: Path) -> None:
    """Latency against what is answered and, for fixed rates, against what is offered."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    closed_axes, open_axes = figure.subplots(1, 2)
    closed = [point for point in points if point.kind == "closed"]
    _latencies(closed_axes, [point.answered_per_second for point in closed], closed)
    for point in closed:
        closed_axes.annotate(f"{point.offered:.0f}", (point.answered_per_second, point.p50_ms))
    closed_axes.set(title="closed loop, by connections", xlabel="answers a second")
    fixed = [point for point in points if point.kind == "open"]
    _latencies(open_axes, [point.offered for point in fixed], fixed)
    if closed:
        open_axes.axvline(max(point.answered_per_second for point in closed), color="grey", linestyle=":")
    open_axes.set(title="open loop, at fixed rates (dotted: the closed loop's best)", xlabel="requests a second")
    figure.savefig(path, dpi=120)


def _latencies(axes: Axes, places: Sequence[float], points: Sequence[LoadPoint]) -> None:
    for name in ("p50", "p90", "p99"):
        axes.plot(places, [getattr(point, f"{name}_ms") for point in points], marker="o", label=name)
    axes.set_yscale("log")
    axes.set_ylabel("latency, ms")
    axes.grid(alpha=0.3)
    axes.legend()


def plot_tuning(trials: Sequence[Trial], front: Sequence[Trial], p99_ms: float, path: Path) -> None:
    """Throughput against the 99th percentile of each trial; the line joins those that no other beats in both."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    measured = [trial for trial in trials if not trial.problem]
    axes.scatter([trial.p99_ms for trial in measured], [trial.per_second for trial in measured], color="grey")
    axes.plot([trial.p99_ms for trial in front], [trial.per_second for trial in front], marker="o")
    axes.axvline(p99_ms, color="grey", linestyle=":")
    axes.set(title="settings (dotted: the budget)", xlabel="p99, ms", ylabel="answers a second")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def plot_memory(samples: Sequence[Sample], path: Path) -> None:
    """Resident memory of each part over time; dots: after a swap, when the version before was gone."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    for number, part in enumerate(PARTS):
        taken = [sample.resident_mb[part] for sample in samples]
        axes.plot([sample.second for sample in samples], taken, color=f"C{number}", alpha=0.4)
        settled = [sample for sample in samples if sample.settled]
        places = [sample.second for sample in settled]
        axes.scatter(places, [sample.resident_mb[part] for sample in settled], s=8, color=f"C{number}", label=part)
    axes.set(title="memory while versions are swapped", xlabel="seconds", ylabel="resident, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
