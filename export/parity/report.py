"""The parity report: `parity.json` in the version folder, and the same as a table on the screen."""

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

from repository.console import Table
from repository.manifest import Evaluation, Parity, Precision, StrictModel
from repository.tolerances import Provider, Tolerance

PARITY_FILE = "parity.json"


class Source(StrEnum):
    """What a text is made of."""

    REAL = "real text"
    RANDOM = "random ids"


class Placement(StrEnum):
    """How a text stands in its batch."""

    ALONE = "alone"
    BATCHED = "batched"
    PADDED = "padded"
    LONG_NEIGHBOURS = "beside long neighbours"


class Cell(StrictModel):
    """How far texts of one length are from PyTorch in one placement; None where the graph gives no finite number."""

    length: int
    batch: int
    placement: Placement
    source: Source
    texts: int
    max_logit_difference: float | None
    max_probability_difference: float | None
    label_agreement: float
    sure_label_flips: int


class Sweep(StrictModel):
    """Everything that was measured, and the shapes that were left out, with the reason."""

    budget_flop: float
    lengths: list[int]
    logit_range: float
    """How far PyTorch's own logits are apart, of the label on which its answers to the texts differ most."""
    cells: list[Cell]
    skipped: list[str]


class ParityReport(StrictModel):
    """`parity.json`: how far the graph is from PyTorch, on real sentences and at each length and batch size."""

    precision: Precision
    provider: Provider
    """What it was computed on."""
    tolerance: dict[str, float | bool | None]
    violations: list[str]
    sentences: Parity
    evaluation: Evaluation | None
    sweep: Sweep

    def write(self, folder: Path) -> None:
        """Write `folder/parity.json`."""
        (folder / PARITY_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def write_report(
    folder: Path,
    precision: Precision,
    provider: Provider,
    tolerance: Tolerance,
    violations: list[str],
    parity: Parity,
    evaluation: Evaluation | None,
    sweep: Sweep,
) -> None:
    """Write `folder/parity.json`."""
    ParityReport(
        precision=precision,
        provider=provider,
        tolerance=asdict(tolerance),
        violations=violations,
        sentences=parity,
        evaluation=evaluation,
        sweep=sweep,
    ).write(folder)


def sweep_table(precision: Precision, sweep: Sweep) -> Table:
    """One line for each length: the largest differences from PyTorch, over real text and random ids."""
    batches = sorted({cell.batch for cell in sweep.cells if cell.placement is Placement.BATCHED})
    caption = f"largest difference of a logit; batches of {', '.join(map(str, batches))}"
    if sweep.skipped:
        caption += f"; {len(sweep.skipped)} shapes were left out, such as {sweep.skipped[0]}"
    table = Table(title=f"{precision.value} against PyTorch", caption=caption)
    for column in ("tokens", *(placement.value for placement in Placement), "probability", "labels agree"):
        table.add_column(column, justify="right")
    for length in sweep.lengths:
        cells = [cell for cell in sweep.cells if cell.length == length]
        placed = [_largest(cell for cell in cells if cell.placement is placement) for placement in Placement]
        probabilities = [cell.max_probability_difference for cell in cells]
        probability = "not finite" if None in probabilities else f"{max(filter(None, probabilities), default=0):.2g}"
        same = sum(cell.label_agreement * cell.texts for cell in cells)
        agreement = same / sum(cell.texts for cell in cells) if cells else 1.0
        table.add_row(str(length), *placed, probability, f"{agreement:.1%}")
    return table


def _largest(cells: Iterable[Cell]) -> str:
    found = [cell.max_logit_difference for cell in cells]
    if not found:
        return "-"
    finite = [difference for difference in found if difference is not None]
    return f"{max(finite):.2g}" if len(finite) == len(found) else "not finite"
