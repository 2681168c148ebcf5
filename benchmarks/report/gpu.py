"""What a card brings, as tables."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.measure.gpu.plan import Case
from benchmarks.report.cost import Price, with_cost
from benchmarks.report.tables import ResultTable
from repository.cards import Card

TITLE = "Graphs on the card"


def gpu_table(
    cases: Sequence[Case], agreement: Mapping[str, float], card: Card, mean_tokens: float, price: Price | None = None
) -> ResultTable:
    """A row for each case; ratios are to the first.

    Args:
        cases: as far as they were measured.
        agreement: share of sentences with the first graph's label, by the name of the graph.
        card: that they ran on.
        mean_tokens: of a sentence, without padding.
        price: of the machine, for a column more.
    """
    first = cases[0].per_second if cases else []
    rows = []
    for case in cases:
        row = [str(case.graph), str(case.batch_tokens), case.order.value]
        if not case.per_second:
            rows.append([*row, case.note or "left out: the time was over", *[""] * 5])
            continue
        ratios = sorted(ours / theirs for ours, theirs in zip(case.per_second, first, strict=False))
        beside = f"{median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})" if ratios and case is not cases[0] else ""
        rate = median(case.per_second)
        same = agreement.get(str(case.graph))
        figures = [f"{rate:.0f}/s", beside, f"{rate * mean_tokens:.0f}/s", f"{case.padding:.0%}"]
        rows.append([*row, *figures, f"{median(case.call_ms):.2f} ms", "" if same is None else f"{same:.2%}"])
    columns = (
        "graph",
        "BATCH_TOKENS",
        "joined",
        "sentences",
        "× first",
        "tokens",
        "padding",
        "a call",
        "first's label",
    )
    note = (
        f"{card.name}, {card.memory_gb:.0f} GB. ONNX Runtime alone, tokenization not counted, inputs and "
        f"answers copied; calls of at most BATCH_TOKENS tokens and {card.batch_sentences} sentences. Tokens without "
        "padding. Medians of rounds that measure every row in turn. CUDA computes fp32 in TF32 where a card has it, "
        "TensorRT in float16, with a profile of these sentences' lengths."
    )
    return with_cost(ResultTable(TITLE, columns, rows, note), price, [case.per_second for case in cases])
