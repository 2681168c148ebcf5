"""`python -m export diff`: how the answers of two versions differ on a file of sentences, as tables or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export import ExportError
from export.commands.facts import facts_table
from export.commands.versions import find_version
from repository.console import Cell, Console, Table, lines, shortened, styled
from repository.exit_status import FAILED
from repository.figures import NAMES
from repository.manifest import Manifest, ProblemType
from training import SAMPLE_DATA

if TYPE_CHECKING:
    from export.commands.comparison import Change, Comparison, Confusion, LabelCounts
    from export.parity.answers import Answers
    from training.data.examples import Target

out = Console()
errors = Console(stderr=True)


def diff_versions(
    a: Annotated[str, typer.Argument(metavar="A", help="Version folder, or number of a published version.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one to compare it with.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Sentences to ask: a file of the same kinds as for the export. Of a table of maps those that both "
            "versions held out are taken, and none that one was trained on (split.json in each)."
        ),
    ] = SAMPLE_DATA,
    show: Annotated[int, typer.Option(min=0, help="How many of the sentences that change most to show.")] = 10,
    fail_under: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit with status 1 if a smaller share of answers agrees.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Compare two versions' answers: labels that change, scores that shift, accuracy.

    Each version is tokenized by its own tokenizer; labels are matched by name.
    """
    if not data.is_file():
        raise ExportError(f"{data} does not exist: give --data a CSV or a .txt file of real sentences")
    folder_a, folder_b = find_version(a), find_version(b)
    labels = sorted({*Manifest.read(folder_a).labels, *Manifest.read(folder_b).labels})
    from export.commands.comparison import compare
    from export.texts.data_file import read_data
    from export.texts.sentences import choose_sentences, read_split

    chosen = choose_sentences(read_data(data), labels, [read_split(folder_a), read_split(folder_b)], keep_all=True)
    answers = (_ask("A", folder_a, chosen.compared), _ask("B", folder_b, chosen.compared))
    comparison = compare(*answers, chosen.compared, chosen.truth, show)
    comparison = comparison.model_copy(update={"origin": chosen.origin})
    if as_json:
        out.json(comparison.model_dump_json(indent=2))
    else:
        _print(comparison)
    if fail_under is not None and comparison.agreement < fail_under:
        errors.print(f"{comparison.agreement:.2%} of answers agree, {fail_under:.2%} needed.")
        raise typer.Exit(FAILED)


def _ask(name: str, folder: Path, sentences: list[str]) -> "Answers":
    from export.parity.answers import ask_version

    # On stderr and gone when done: what is on stdout may go into a file.
    with errors.progress(f"Asking {name}, {folder}", len(sentences), transient=True) as advance:
        return ask_version(folder, sentences, advance)


def _print(comparison: "Comparison") -> None:
    out.table(_summary(comparison))
    if comparison.confusion:
        out.table(_confusion(comparison.confusion, out.width))
    if comparison.labels:
        out.table(_label_counts(comparison.labels))
    if comparison.largest:
        out.table(_changes(comparison.largest))


def _summary(comparison: "Comparison") -> Table:
    regression = comparison.problem_type is ProblemType.REGRESSION
    shift = comparison.shift
    what = {
        ProblemType.SINGLE_LABEL: "score shift of A's label",
        ProblemType.MULTI_LABEL: "largest score shift",
        ProblemType.REGRESSION: "difference of values",
    }[comparison.problem_type]
    shown = {
        "A": comparison.a,
        "B": comparison.b,
        "sentences": f"{comparison.sentences}, {comparison.origin}",
        "close values" if regression else "same labels": f"{comparison.agreement:.2%}, {comparison.changed} changed",
        what: f"median {shift.median:.4f}, p95 {shift.p95:.4f}, max {shift.max:.4f}",
    }
    for name, quality in (("A", comparison.quality_a), ("B", comparison.quality_b)):
        if quality:
            figures = (f"{NAMES[figure]} {value:.4f}" for figure, value in quality.items())
            shown[f"{name} against the truth"] = ", ".join(figures)
    for name, errors_of in (("A", comparison.calibration_a), ("B", comparison.calibration_b)):
        if errors_of:
            calibrated = "no calibration" if errors_of.calibrated is None else f"{errors_of.calibrated:.4f} calibrated"
            shown[f"{name}'s calibration error"] = f"{errors_of.plain:.4f} of the scores as they are, {calibrated}"
    for name, labels in (("A", comparison.only_in_a), ("B", comparison.only_in_b)):
        if labels:
            names = ", ".join(map(shortened, labels))
            shown[f"labels only in {name}"] = names + ("" if regression else " (score 0 in the other)")
    if comparison.reordered:
        shown["labels"] = "the same, in another order"
    return facts_table(shown)


def _confusion(confusion: "Confusion", width: int) -> Table:
    """Rows A, columns B; where the names are too wide for the console, columns carry numbers that the rows explain."""
    numbers = {label: place + 1 for place, label in enumerate(dict.fromkeys(confusion.labels_a + confusion.labels_b))}
    shown = {label: shortened(label) for label in numbers}
    names_b = [shown[label] for label in confusion.labels_b]
    wide = max(len(shown[label]) for label in confusion.labels_a) + sum(len(name) + 3 for name in names_b) + 6 > width
    headers = [str(numbers[label]) for label in confusion.labels_b] if wide else names_b
    table = Table(title="Labels of A (rows) and B (columns)")
    table.add_column("A \\ B")
    for header in headers:
        table.add_column(header, justify="right")
    for label, row in zip(confusion.labels_a, confusion.rows, strict=True):
        name = f"{numbers[label]} {shown[label]}" if wide else shown[label]
        cells = [
            styled(str(count) if count else "·", "bold" if other == label else "")
            for other, count in zip(confusion.labels_b, row, strict=True)
        ]
        table.add_row(name, *cells)
    unexplained = [label for label in confusion.labels_b if label not in confusion.labels_a]
    if wide and unexplained:
        table.caption = ", ".join(f"{numbers[label]} {shown[label]}" for label in unexplained)
    return table


def _label_counts(labels: "list[LabelCounts]") -> Table:
    table = Table("label", "in both", "only in A", "only in B", title="Sentences with a label")
    for column in table.columns[1:]:
        column.justify = "right"
    for counts in labels:
        table.add_row(shortened(counts.label), str(counts.both), str(counts.only_a), str(counts.only_b))
    return table


def _changes(changes: "list[Change]") -> Table:
    with_truth = any(change.truth is not None for change in changes)
    table = Table("sentence", "A", "B", "shift", title="What changes most")
    if with_truth:
        table.add_column("truth")
    for change in changes:
        truth = [shortened(_in_words(change.truth))] if with_truth else []
        answers = _answer(change.a), _answer(change.b)
        table.add_row(lines(change.sentence), *answers, f"{change.shift:.3f}", *truth)
    return table


def _answer(answer: dict[str, float]) -> Cell:
    return lines(*(f"{shortened(label)} {score:.3f}" for label, score in answer.items())) if answer else lines("none")


def _in_words(truth: "Target | None") -> str:
    return ", ".join(truth) if isinstance(truth, tuple) else "" if truth is None else str(truth)
