"""The alternatives beside this server, as a table."""

import statistics
from collections.abc import Sequence

from benchmarks.alternatives.outcome import ENOUGH_FOR_P99, Figures, Outcome
from benchmarks.report.cost import Price, with_cost
from benchmarks.report.tables import ResultTable

TITLE = "The alternatives beside this server"
COLUMNS = ("", "connections", "answers", "p50, p99 in ms", "× this server", "memory")
WHY = "not measured"


def alternatives_table(outcomes: Sequence[Outcome], price: Price | None = None) -> ResultTable:
    """This server first, then a row for each number of connections; one that says why where nothing was measured."""
    measured = [outcome for outcome in outcomes if not outcome.reason]
    rows = [_ours(measured, connections) for connections in (measured[0].pairs if measured else ())]
    rates = [_rates(measured, connections, ours=True) for connections in (measured[0].pairs if measured else ())]
    for outcome in outcomes:
        name = f"{outcome.alternative.title} {outcome.version}"
        if outcome.reason:
            rows.append([name, *[""] * (len(COLUMNS) - 1), outcome.reason])
            rates.append([])
            continue
        for connections in outcome.pairs:
            ratios = outcome.ratios(connections)
            ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})"
            memory = f"{outcome.memory_mb:.0f} MB" if outcome.memory_mb else ""
            rows.append([name, *_cells(connections, outcome.figures(connections)), ratio, memory])
            rates.append(_rates([outcome], connections))
    columns = COLUMNS if len(measured) == len(outcomes) else (*COLUMNS, WHY)
    padded = [[*row, *[""] * (len(columns) - len(row))] for row in rows]
    return with_cost(ResultTable(TITLE, columns, padded, _note(outcomes)), price, rates)


def _rates(outcomes: Sequence[Outcome], connections: int, ours: bool = False) -> list[float]:
    """Answers a second of each round, theirs or those of this server beside them."""
    return [pair[1 if ours else 0].per_second for outcome in outcomes for pair in outcome.pairs[connections]]


def _ours(measured: Sequence[Outcome], connections: int) -> list[str]:
    """The median of what this server gave beside each of them."""
    found = sorted((outcome.figures(connections, ours=True) for outcome in measured), key=lambda each: each.per_second)
    memory = statistics.median(outcome.our_memory_mb for outcome in measured)
    return ["this server, fp32", *_cells(connections, found[len(found) // 2]), "1", f"{memory:.0f} MB"]


def _cells(connections: int, figures: Figures) -> list[str]:
    p99 = "" if figures.p99_ms is None else f", {figures.p99_ms:.1f}"
    return [str(connections), f"{figures.per_second:.0f}/s", f"{figures.p50_ms:.1f}{p99}"]


def _note(outcomes: Sequence[Outcome]) -> str:
    settings = "; ".join(f"{outcome.alternative.title}: {outcome.alternative.settings}" for outcome in outcomes)
    return (
        "A closed loop; the same checkpoint, sentences, machine and load generator, which shares the cores "
        f"with what it measures. {_rounds(outcomes)} Each round measures this server and the alternative, one right "
        "after the other, while the processes of the other one are stopped (SIGSTOP). What is answered before the "
        "first batches are full, or when nobody asks any more, does not count. p50 and p99 are of the answers of all "
        f"rounds together; no p99 of fewer than {ENOUGH_FOR_P99}. One worker each, which may use all cores; where the "
        "wait for a batch to fill can be set, it is 1 ms at most. This server writes a line a request to its log, as "
        "by default, the others write none. Timed is only what gives the transformers pipeline's labels, its scores "
        f"to 0.001. Memory is that of all its processes. Settings: {settings}."
    )


def _rounds(outcomes: Sequence[Outcome]) -> str:
    rounds = sorted({len(pairs) for outcome in outcomes if not outcome.reason for pairs in outcome.pairs.values()})
    return f"{' to '.join(map(str, dict.fromkeys([*rounds[:1], *rounds[-1:]])))} rounds." if rounds else ""
