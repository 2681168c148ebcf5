"""Shows what an export measured of each precision that it tried, and why it took one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repository.console import Console, Table
from repository.manifest import Evaluation

if TYPE_CHECKING:
    from export.version.automatic import Choice
    from export.version.candidate import Candidate

out = Console()


def show_choice(choice: "Choice", output: Path) -> None:
    """What was measured of each precision that was tried, and why one was taken and written to `output`."""
    from export.parity.report import sweep_table

    candidates = choice.candidates
    for candidate in candidates:
        if candidate.sweep is not None:
            out.table(sweep_table(candidate.precision, candidate.sweep))
    caption = "what was passed over: on the sentences it was judged on" if choice.passed_over else None
    table = Table(
        "",
        "compared on",
        "largest logit difference",
        "labels agree",
        "flips when padded",
        _figure_of(candidates),
        "size",
        caption=caption,
    )
    for candidate in candidates:
        parity, evaluation = candidate.parity, candidate.evaluation
        table.add_row(
            candidate.precision.value,
            f"{parity.sentences}",
            f"{parity.max_logit_difference:.2g}",
            f"{parity.label_agreement:.2%}",
            f"{parity.padded_label_flips}",
            _beside_pytorch(evaluation),
            f"{candidate.size_bytes / 1e6:.1f} MB",
        )
    out.table(table)
    if choice.is_automatic:
        for reason in choice.reasons:
            out.print(reason)
    why = "" if choice.is_automatic else f" ({choice.reason})"
    out.print(f"{choice.chosen.precision.value}{why}, written to {output}")


def _figure_of(candidates: "Sequence[Candidate]") -> str:
    evaluation = next((candidate.evaluation for candidate in candidates if candidate.evaluation), None)
    return "mean absolute error" if evaluation and evaluation.macro_f1 is None else "macro-F1"


def _beside_pytorch(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "-"
    if evaluation.macro_f1 is not None:
        return f"{evaluation.macro_f1:.4f} (PyTorch {evaluation.checkpoint_macro_f1:.4f})"
    both = (figures.get("mean_absolute_error") for figures in (evaluation.figures, evaluation.checkpoint_figures))
    own, pytorch = (f"{error:.4g}" for error in both)
    return f"{own} (PyTorch {pytorch})"
