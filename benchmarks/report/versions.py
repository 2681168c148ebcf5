"""Versions of a model beside each other, as one table."""

import math
from collections.abc import Sequence
from statistics import median

from benchmarks.measure.precision import THROUGHPUT_BATCH
from benchmarks.measure.versions.quality import NEAR_TIE, Reference
from benchmarks.measure.versions.row import Quality, Row, ratios
from benchmarks.report.cost import Price, with_cost
from benchmarks.report.tables import ResultTable
from repository.figures import NAMES
from repository.manifest import ProblemType
from training.figures.intervals import LEVEL, Interval

TITLE = "Versions beside each other"
# Of the figures that there are, the two that fit into a table.
SHOWN = {
    ProblemType.SINGLE_LABEL: ("accuracy", "macro_f1"),
    ProblemType.MULTI_LABEL: ("exact_match", "macro_f1"),
    ProblemType.REGRESSION: ("mean_absolute_error", "spearman"),
}


def versions_table(
    rows: Sequence[Row], reference: Reference, connections: int, price: Price | None = None
) -> ResultTable:
    """A row for each version, PyTorch's among them; ratios are to the first that has the figure.

    Args:
        rows: as far as they were measured.
        reference: what they were held against.
        connections: of the load.
        price: of the machine, for a column more.
    """
    shown = SHOWN[reference.task]
    last = shown[-1]
    columns = (
        "",
        f"batch {THROUGHPUT_BATCH}",
        "× first",
        f"GET, {connections} connections",
        "× first",
        "p50 alone",
        *(NAMES[name] for name in shown),
        f"{NAMES[last]} less PyTorch's",
        "PyTorch's answer",
        "confident changes",
        "drift",
        "file",
        "memory",
    )
    first_alone = next((row.batches_per_second for row in rows if row.batches_per_second), [])
    first_served = next((row.served_per_second for row in rows if row.served_per_second), [])
    cells = []
    for row in rows:
        if row.note:
            cells.append([row.name, row.note, *[""] * (len(columns) - 2)])
            continue
        speed = [*_rate(row.batches_per_second, first_alone), *_rate(row.served_per_second, first_served)]
        if row.problem and not row.served_per_second:
            speed[2] = f"not served: {row.problem}"
        alone = f"{median(row.alone_ms):.2f} ms" if row.alone_ms else ""
        cells.append([row.name, *speed, alone, *_quality(row.quality, shown), *_sizes(row)])
    table = ResultTable(TITLE, columns, cells, _note(reference))
    return with_cost(table, price, [row.served_per_second for row in rows])


def _rate(rates: Sequence[float], first: Sequence[float]) -> list[str]:
    if not rates:
        return ["", ""]
    found = ratios(rates, first)
    beside = "1" if rates is first else f"{median(found):.2f} ({found[0]:.2f} … {found[-1]:.2f})" if found else ""
    return [f"{median(rates):.0f}/s", beside]


def _quality(quality: Quality | None, shown: Sequence[str]) -> list[str]:
    if quality is None:
        return [""] * (len(shown) + 3)
    changes = f"{quality.confident_changes} of {quality.confident}"
    return [
        *(_interval(quality.figures[name]) for name in shown),
        _interval(quality.beside_pytorch[shown[-1]], "+"),
        f"{quality.agreement:.2%}",
        changes,
    ]


def _interval(found: Interval, sign: str = "") -> str:
    if math.isnan(found.value):
        return ""
    bounds = "" if math.isnan(found.low) else f" ({found.low:{sign}.3f} … {found.high:{sign}.3f})"
    return f"{found.value:{sign}.4f}{bounds}"


def _sizes(row: Row) -> list[str]:
    manifest = row.manifest
    if manifest is None:
        return ["", "", ""]
    parity = manifest.parity
    drift = f"{parity.max_padded_probability_difference:.1g}, {parity.padded_label_flips} labels"
    memory = f"{median(row.memory_mb):.0f} MB" if row.memory_mb else ""
    return [drift, f"{row.size_bytes / 1e6:.1f} MB", memory]


def _note(reference: Reference) -> str:
    return (
        f"Batch {THROUGHPUT_BATCH}: ONNX Runtime alone, tokenization not counted, neighbours in length together; empty "
        "for a version of several graphs. GET and p50 alone (one connection): the whole service, with the load "
        "generator on the same cores. Medians of rounds that measure every version in turn; × first is of the same "
        f"round, with its range. Quality: the served answers to {reference.origin}, with intervals of {LEVEL:.0%} "
        f"over groups. PyTorch is {reference.name}. Confident changes: another answer where PyTorch's first two "
        f"probabilities are {NEAR_TIE:g} apart or more. Drift: how far a probability, and how many labels, changed "
        "with padding or company when the version was exported. Memory: Triton and the gateway after the load."
    )
