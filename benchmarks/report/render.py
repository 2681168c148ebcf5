"""What was measured, as tables."""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure.gateway import Comparison
from benchmarks.measure.limit import Limit
from benchmarks.measure.load_sweep import LoadPoint
from benchmarks.measure.triton_sweep import Point
from benchmarks.measure.tuning import Trial
from benchmarks.report.cost import Price, with_cost
from benchmarks.report.guard import CONFIDENCE, Verdict
from benchmarks.report.tables import ResultTable

if TYPE_CHECKING:  # it imports PyTorch and transformers, which take seconds
    from benchmarks.measure.precision import Variant


def comparison_table(comparisons: Sequence[Comparison], price: Price | None = None) -> ResultTable:
    """Pairs of figures with their ratio or difference."""
    rows = []
    for comparison in comparisons:
        figures = comparison.figures
        median = figures[len(figures) // 2]
        sign, unit = ("+", " ms") if comparison.difference else ("", "")
        decimals = 0 if comparison.unit == "/s" else 2
        rows.append(
            [
                comparison.name,
                f"{comparison.ours:.{decimals}f} {comparison.unit}",
                f"{comparison.limit:.{decimals}f} {comparison.unit}",
                comparison.beside,
                f"{median:{sign}.2f}{unit}",
                f"{figures[0]:{sign}.2f} … {figures[-1]:{sign}.2f}",
                comparison.target,
            ]
        )
    columns = ("", "gateway", "beside it", "that is", "median", "from … to", "target")
    note = (
        "ONNX Runtime alone is one session on all cores or a batch on each core, whichever did better in the round. "
        "The gateway writes a line a request to its log, as by default. The load generator shares the cores."
    )
    rates = [[ours for ours, _ in each.pairs] if each.classifies else [] for each in comparisons]
    return with_cost(ResultTable("The gateway beside the limit", columns, rows, note), price, rates)


def sweep_table(points: Sequence[Point], limit: float | None = None, price: Price | None = None) -> ResultTable:
    """Triton under perf_analyzer; `limit` is what ONNX Runtime alone reaches, in sentences a second."""
    rows = []
    for point in points:
        load, found = point.load, point.measured
        row = [load.protocol, str(load.concurrency), str(load.batch_size), str(load.length or "own")]
        if found is None:
            rows.append([*row, "failed", *[""] * 6])
            continue
        # The limit is that of sentences at their own lengths.
        share = f"{found.sentences_per_second / limit:.0%}" if limit and not load.length else ""
        times = (found.p50_ms, found.p90_ms, found.p99_ms, found.queue_ms, found.compute_infer_ms)
        rows.append([*row, f"{found.sentences_per_second:.0f}", share, *(f"{value:.1f}" for value in times)])
    columns = (
        "",
        "at a time",
        "batch",
        "tokens",
        "sentences/s",
        "of the limit",
        "p50",
        "p90",
        "p99",
        "queue",
        "compute",
    )
    note = "Times in ms; queue and compute are means that Triton counts itself."
    rates = [[point.measured.sentences_per_second] if point.measured else [] for point in points]
    return with_cost(ResultTable("Triton under perf_analyzer", columns, rows, note), price, rates)


def load_table(points: Sequence[LoadPoint], price: Price | None = None) -> ResultTable:
    """The gateway's latency against the load."""
    rows = []
    for point in points:
        offered = f"{point.offered:.0f} connections" if point.kind == "closed" else f"{point.offered:.0f}/s"
        times = [f"{value:.1f}" for value in (point.p50_ms, point.p90_ms, point.p99_ms)]
        rows.append([offered, f"{point.answered_per_second:.0f}/s", *times, str(point.refused), str(point.unanswered)])
    columns = ("load", "answered", "p50", "p90", "p99", "refused", "unanswered")
    note = (
        "Times in ms. Connections: a closed loop. A rate: an open loop, sent at random moments whether answers come "
        "or not; its latencies count from the moment a request was due."
    )
    rates = [[point.answered_per_second] for point in points]
    return with_cost(ResultTable("The gateway under load", columns, rows, note), price, rates)


def limit_table(limit: Limit, price: Price | None = None) -> ResultTable:
    """ONNX Runtime alone at each batch size and use of the cores."""
    rows = [
        [str(size), str(way), f"{rate:.0f}/s", f"{rate * limit.operations_per_sentence / limit.peak:.0%}"]
        for (size, way), rate in limit.rates.items()
    ]
    note = (
        f"A sentence has {limit.mean_tokens:.1f} tokens on average, {limit.operations_per_sentence / 1e6:.0f} million "
        f"floating-point operations; this machine reaches {limit.peak / 1e9:.0f} billion a second in one large float32 "
        "product, by ONNX Runtime, on all cores."
    )
    columns = ("batch", "runs × threads", "sentences", "of the peak")
    rates = [[rate] for rate in limit.rates.values()]
    return with_cost(ResultTable("The limit: ONNX Runtime alone", columns, rows, note), price, rates)


def precision_table(variants: "Sequence[Variant]", price: Price | None = None) -> ResultTable:
    """Each precision beside the plain graph: speed, size and accuracy."""
    plain = variants[0]
    rows = []
    for variant in variants:
        if not variant.is_measured:
            rows.append([variant.name, variant.note, *[""] * 7])
            continue
        ratios = ["", ""]
        if variant is not plain and plain.is_measured:
            ratios = [f"{median(found):.2f} ({found[0]:.2f} … {found[-1]:.2f})" for found in variant.speedups(plain)]
        latency, throughput = f"{median(variant.latencies_ms):.2f} ms", f"{median(variant.per_second):.0f}/s"
        size = f"{variant.size_bytes / 1e6:.1f} MB"
        agreement = "" if variant.agreement is None else f"{variant.agreement:.2%}"
        figures = ["" if value is None else f"{value:.4f}" for value in (variant.accuracy, variant.macro_f1)]
        rows.append([variant.name, latency, ratios[0], throughput, ratios[1], size, agreement, *figures])
    columns = ("", "batch 1", "× plain", "batch 32", "× plain", "size", "PyTorch's label", "accuracy", "macro-F1")
    note = (
        "ONNX Runtime alone, tokenization not counted: latency of one sentence, sentences a second in batches of 32 "
        "neighbours in length; medians of paired rounds. Accuracy on the test split. `plain` is torch.onnx.export "
        "without any optimization of ours; ONNX Runtime optimizes every graph when it loads it."
    )
    return with_cost(ResultTable("Precisions", columns, rows, note), price, [each.per_second for each in variants])


def tuning_table(
    trials: Sequence[Trial], front: Sequence[Trial], p99_ms: float, price: Price | None = None
) -> ResultTable:
    """Settings that were tried, fastest first."""
    rows = []
    trials = sorted(trials, key=lambda trial: -trial.per_second)
    for trial in trials:
        mark = "yes" if trial in front else ""
        if trial.problem:
            rows.append([str(trial.setting), trial.problem, "", "", "", ""])
            continue
        within = "yes" if trial.p99_ms <= p99_ms else ""
        times = [f"{trial.p50_ms:.0f}", f"{trial.p99_ms:.0f}"]
        rows.append([str(trial.setting), f"{trial.per_second:.0f}/s", *times, within, mark])
    columns = ("setting", "answered", "p50, ms", "p99, ms", f"within {p99_ms:g} ms", "unbeaten")
    note = "Unbeaten: no other is faster and has a lower 99th percentile. Triton's copies × threads and largest batch."
    rates = [[trial.per_second] for trial in trials]
    return with_cost(ResultTable("Settings under load", columns, rows, note), price, rates)


def verdict_table(verdicts: Sequence[Verdict]) -> ResultTable:
    """What changed from one result to another."""
    rows = [
        [
            verdict.name,
            f"{verdict.before:.3f}",
            f"{verdict.after:.3f}",
            f"{verdict.low:+.3f} … {verdict.high:+.3f}",
            "slower" if verdict.worse else "not slower, as far as can be told",
        ]
        for verdict in verdicts
    ]
    note = (
        f"Ratios to what was measured beside them, or differences in ms. The change with {CONFIDENCE:.0%} confidence."
    )
    return ResultTable("B beside A", ("", "A", "B", "change", "verdict"), rows, note)
