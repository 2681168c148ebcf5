"""All measurements in one run, each kept on disk before the next begins."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alternatives.environments import ENVIRONMENTS
from benchmarks.alternatives.measure import measure_alternatives
from benchmarks.alternatives.outcome import Loads, Outcome
from benchmarks.alternatives.registry import ALTERNATIVES
from benchmarks.alternatives.table import alternatives_table
from benchmarks.measure.gateway import Comparison, compare_costless, compare_gateway
from benchmarks.measure.limit import measure_limit
from benchmarks.measure.load_sweep import sweep_load
from benchmarks.measure.perf_analyzer import find_perf_analyzer
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import running_service, running_triton
from benchmarks.measure.triton_sweep import Sweep, run_sweep
from benchmarks.report.cost import Price
from benchmarks.report.plots import plot_load
from benchmarks.report.render import comparison_table, limit_table, load_table, precision_table, sweep_table
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from repository.store import ModelStore
from server.install import ensure_installed
from server.settings import ServerSettings

QUICK_SWEEP = Sweep(("http", "grpc"), (1, 4), (16,), (16,), 500)

LEFT_OUT = "left out of a quick run"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    sentences: int
    load_s: float
    sweep: Sweep
    precision_rounds: int
    """0 to leave the precisions out: the exports take a minute."""
    alternatives: tuple[str, ...]
    """Names of those that are measured."""
    install: bool
    """Whether what an alternative lacks is installed."""
    alternative_loads: Loads
    minutes: float
    """About how long that takes on two cores."""


FULL = Extent(
    rounds=5,
    sentences=2048,
    load_s=6,
    sweep=Sweep(),
    precision_rounds=5,
    alternatives=tuple(alternative.name for alternative in ALTERNATIVES),
    install=True,
    alternative_loads=Loads(seconds=3, rounds=5),
    minutes=40,
)
QUICK = Extent(
    rounds=2,
    sentences=512,
    load_s=2,
    sweep=QUICK_SWEEP,
    precision_rounds=0,
    alternatives=("ray",),  # all of them take longer than everything else
    install=False,
    alternative_loads=Loads(seconds=1, rounds=1),
    minutes=4,
)


def run_everything(
    store: ModelStore,
    number: int,
    checkpoint: Path,
    data: Path,
    results: ResultFolder,
    extent: Extent,
    report: Report,
    price: Price | None = None,
) -> None:
    """Measure version `number` of the model, and exports of its checkpoint, into `results`.

    Raises:
        BenchmarkError, ExportError, ServiceError, PerfAnalyzerError, InstallError: a measurement failed; what was
            measured before is in `results`.
    """
    version = store.folder / str(number)
    texts = load_sentences(data, extent.sentences)
    started = time.monotonic()

    def begin(name: str) -> None:
        passed = (time.monotonic() - started) / 60
        report(f"{name} ({passed:.1f} of about {extent.minutes:g} minutes)")

    begin("The limit")
    limit = measure_limit(version, texts[:512], repeats=min(3, extent.rounds))
    results.add("limit", limit.as_dict(), limit_table(limit, price))
    begin("Precisions")
    _add_precisions(checkpoint, data, texts[:256], extent.precision_rounds, results, report, price)
    begin("The gateway beside the limit")
    found = compare_gateway(store, number, texts, extent.rounds, report)
    found += compare_costless(store, number, texts, extent.rounds, report)
    results.add("gateway", [_as_dict(comparison) for comparison in found], comparison_table(found, price))
    begin("Triton under perf_analyzer")
    analyzer = find_perf_analyzer(Path(".perf_analyzer"), ensure_installed(ServerSettings(), report))
    with running_triton(store.folder.parent, store.model_name) as addresses:
        points = run_sweep(analyzer, extent.sweep, version, store.model_name, addresses, texts, report)
    results.add("triton", [point.as_dict() for point in points], sweep_table(points, limit.best, price=price))
    begin("The gateway under load")
    with running_service(store.folder.parent, store.model_name) as service:
        loads = list(sweep_load(service.url, texts, extent.load_s, report))
    results.add("load", [point.as_dict() for point in loads], load_table(loads, price))
    plot_load(loads, results.plot_path("load"))
    results.write()
    begin("The alternatives")
    outcomes = measure_or_leave_out(checkpoint, texts, extent, report)
    results.add("alternatives", [outcome.as_dict() for outcome in outcomes], alternatives_table(outcomes, price))


def measure_or_leave_out(checkpoint: Path, sentences: list[str], extent: Extent, report: Report) -> list[Outcome]:
    """One outcome for each alternative there is, over the checkpoint; what is left out says why.

    Raises:
        BenchmarkError, ServiceError: this server failed beside one of them.
    """
    if reason := _missing(checkpoint):
        return [Outcome(alternative, reason) for alternative in ALTERNATIVES]
    chosen = [alternative for alternative in ALTERNATIVES if alternative.name in extent.alternatives]
    measured = measure_alternatives(
        chosen, checkpoint, sentences, extent.alternative_loads, ENVIRONMENTS, extent.install, report
    )
    left_out = [alternative for alternative in ALTERNATIVES if alternative not in chosen]
    return measured + [Outcome(alternative, LEFT_OUT) for alternative in left_out]


def _missing(checkpoint: Path) -> str:
    """Why nothing can be made from it, or nothing."""
    found = (checkpoint / "config.json").is_file()
    return "" if found else f"no checkpoint in {checkpoint}: name one with --checkpoint"


def _add_precisions(
    checkpoint: Path,
    data: Path,
    texts: Sequence[str],
    rounds: int,
    results: ResultFolder,
    report: Report,
    price: Price | None,
) -> None:
    """Export the checkpoint in every precision; what stands in the way is said in the table."""
    if problem := LEFT_OUT if not rounds else _missing(checkpoint):
        results.add("precision", {"problem": problem}, ResultTable("Precisions", ("",), [[problem]]))
        return
    from benchmarks.measure.precision import compare_precisions

    with tempfile.TemporaryDirectory(prefix="precisions-") as folder:
        found = compare_precisions(str(checkpoint), data, texts, rounds, Path(folder), report)
    results.add("precision", [variant.as_dict() for variant in found], precision_table(found, price))


def _as_dict(comparison: Comparison) -> dict[str, object]:
    return {
        "name": comparison.name,
        "unit": comparison.unit,
        "beside": comparison.beside,
        "difference": comparison.difference,
        "pairs": comparison.pairs,
    }
