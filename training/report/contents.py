"""How good a model is: accuracy, macro-F1, each class, each language, what is taken for what; as JSON and as tables."""

import importlib.metadata
import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from repository.console import Cell, Console, Table, lines, shortened, styled
from repository.figures import NAMES
from repository.manifest import ProblemType
from training.data.examples import Target
from training.data.split import SplitName
from training.figures.intervals import Interval, f1_figure, intervals, score_intervals
from training.figures.scores import indicators, scores

SCHEMA_VERSION = 2
SPLITS: tuple[SplitName, ...] = ("validation", "test")
REPORT_FILE = "training_report.json"
# What can change a figure.
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "scikit-learn", "numpy")

_DIGITS = 4
# Characters that the table of classes takes at least, and each column of its confusion matrix.
_NARROWEST, _COLUMN = 58, 9


def figures(
    truth: Sequence[Target],
    predicted: Sequence[Target],
    classes: Sequence[str],
    languages: Sequence[str | None],
    task: ProblemType = ProblemType.SINGLE_LABEL,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the figures of one split.

    Args:
        truth: the target of each text.
        predicted: what was answered for each.
        classes: all labels, in the order of the confusion matrix.
        languages: of each text; None where the data doesn't say.
        task: what a target is.
        groups: of each text; with them, each figure has its interval over groups in `intervals` beside it.

    Returns:
        What `training.figures.scores.scores` gives (None where a figure does not exist), `support`, the number of
        texts, `per_class` (empty for a regression), `per_language` (empty without languages); for single labels
        `confusion_matrix`, whose rows are true classes and columns answered ones.
    """
    found: dict[str, Any] = {**_scores(truth, predicted, task, groups), "per_class": {}}
    if task is not ProblemType.REGRESSION:
        found["per_class"] = _per_class(truth, predicted, classes, groups)
    found["per_language"] = _per_language(truth, predicted, languages, task, groups)
    if task is ProblemType.SINGLE_LABEL:
        rows = confusion_matrix(truth, predicted, labels=list(classes)).tolist()
        found["confusion_matrix"] = {"classes": list(classes), "rows": rows}
    return found


def _per_class(
    truth: Sequence[Target], predicted: Sequence[Target], classes: Sequence[str], groups: Sequence[str] | None
) -> dict[str, dict[str, Any]]:
    true, answered = indicators(truth, classes), indicators(predicted, classes)
    precision, recall, f1, support = precision_recall_fscore_support(true, answered, average=None, zero_division=0.0)
    found: dict[str, dict[str, Any]] = {
        label: {
            "precision": round(float(precision[place]), _DIGITS),
            "recall": round(float(recall[place]), _DIGITS),
            "f1": round(float(f1[place]), _DIGITS),
            "support": int(support[place]),
        }
        for place, label in enumerate(classes)
    }
    if groups is not None:
        of_class = intervals([f1_figure(true[:, place], answered[:, place]) for place in range(len(classes))], groups)
        for label, interval in zip(classes, of_class, strict=True):
            found[label]["intervals"] = {"f1": _bounds(interval)}
    return found


def _scores(
    truth: Sequence[Target], predicted: Sequence[Target], task: ProblemType, groups: Sequence[str] | None
) -> dict[str, Any]:
    found = scores(truth, predicted, task)
    rounded: dict[str, Any] = {
        name: round(value, _DIGITS) if math.isfinite(value) else None for name, value in found.items()
    }
    rounded["support"] = len(truth)
    if groups is not None:
        rounded["groups"] = len(set(groups))
        of_name = score_intervals(truth, predicted, groups, task)
        rounded["intervals"] = {name: _bounds(interval) for name, interval in of_name.items()}
    return rounded


def _bounds(interval: Interval) -> list[float] | None:
    """Lower and upper bound; None where there are none, as of a class that no text is of."""
    bounds = [interval.low, interval.high]
    return [round(bound, _DIGITS) for bound in bounds] if all(map(math.isfinite, bounds)) else None


def _per_language(
    truth: Sequence[Target],
    predicted: Sequence[Target],
    languages: Sequence[str | None],
    task: ProblemType,
    groups: Sequence[str] | None,
) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for language in sorted({language for language in languages if language}):
        of_it = [place for place, other in enumerate(languages) if other == language]
        true, answered = [truth[place] for place in of_it], [predicted[place] for place in of_it]
        result[language] = _scores(true, answered, task, [groups[place] for place in of_it] if groups else None)
    return result


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a figure."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def read_report(folder: Path) -> dict[str, Any] | None:
    """Return what `training_report.json` in a folder holds; None where there is none that can be read."""
    try:
        found = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION else None


def show_report(report: dict[str, Any], console: Console) -> None:
    """Print a `training_report.json`'s figures as tables."""
    tables = [_summary(report)]
    if report["test"]["per_class"]:
        tables.append(_classes(report, console.width))
    if report["test"]["per_language"]:
        tables.append(_languages(report))
    console.table(*tables)
    if not _matrix_fits(report, console.width):
        console.print("What each class was taken for does not fit here: see the report, or widen the window.")
    if served := report.get("served"):
        console.print(compared_in_words(served))
    unit = report["data"]["unit"]
    if report["data"]["split_kind"] == "rows":
        warning = (
            f"Split by rows: the titles of the test {unit} were trained on, so these figures say how well the model "
            f"remembers titles. The figures for {unit} it has never seen come with --split groups."
        )
        console.print(styled(warning, "yellow"))
    for column, count in report["data"]["skipped_rows"].items():
        console.print(styled(f"{count} rows without {column} were left out.", "yellow"))
    if (copied := report["data"]["copies"])["groups"]:
        console.print(
            f"{copied['groups']} {unit} are copies of each other by title or texts, in {len(copied['sets'])} sets; "
            "each set is in one split."
        )


def compared_in_words(served: dict[str, Any]) -> str:
    """Return in a sentence how a model does beside the served version."""
    if not served["compared"]:
        return f"Not compared with a served version: {served['reason']}"
    name = next(name for name in ("macro_f1", "mean_absolute_error") if name in served["difference"])
    difference = served["difference"][name]
    low, high = difference["low"], difference["high"]
    begin = f"On {served['texts']} test texts, {NAMES[name]} differs from that of {served['version']} by"
    if difference["value"] is None or low is None or not math.isfinite(low):
        return f"{begin} {shown(difference['value'])}; of one group there is no interval."
    verdict = "which is within the noise" if low <= 0 <= high else "which is more than noise"
    return f"{begin} {difference['value']:+.3f} (95 %: {low:+.3f} to {high:+.3f}), {verdict}."


def _summary(report: dict[str, Any]) -> Table:
    unit = report["data"]["unit"]
    unseen = {
        "groups": f"On {unit} never seen",
        "rows": f"On rows never seen, of {unit} seen",
        "files": "On their own files",
    }
    table = Table(title=unseen[report["data"]["split_kind"]], title_justify="left")
    names = [name for name in report["test"] if name in NAMES]
    table.add_column("")
    splits = [split for split in SPLITS if report.get(split)]
    for split in splits:
        for name in names:
            table.add_column(f"{split} {NAMES[name]}", justify="right")
    rows = [("this model", report)]
    if report["baseline"]:
        rows.append((report["baseline"].get("model", "TF-IDF + logistic regression"), report["baseline"]))
    for title, result in rows:
        table.add_row(title, *(_with_interval(result[split], name) for split in splits for name in names))
    if "intervals" in report["test"]:
        table.caption = f"In brackets: between these with 95 % confidence, if other {unit} were tested on."
    return table


def _with_interval(result: dict[str, Any], name: str) -> Cell:
    bounds = result.get("intervals", {}).get(name)
    return lines(shown(result[name]), f"({shown(bounds[0])}–{shown(bounds[1])})") if bounds else shown(result[name])


def shown(figure: float | None) -> str:
    """Return a figure for people."""
    return "-" if figure is None else f"{figure:.3f}"


def _matrix_fits(report: dict[str, Any], width: int) -> bool:
    """Whether no column of the confusion matrix would be cut off, and what is in it with it."""
    matrix = report["test"].get("confusion_matrix")
    return matrix is None or _NARROWEST + _COLUMN * len(matrix["classes"]) <= width


def _classes(report: dict[str, Any], width: int) -> Table:
    matrix = report["test"].get("confusion_matrix") if _matrix_fits(report, width) else None
    aside = "; to the right, what it was taken for" if matrix else ""
    table = Table(title=f"Test, each class{aside}", title_justify="left")
    table.add_column("class", min_width=16)
    taken_for = [shortened(label, 6) for label in matrix["classes"]] if matrix else []
    for name in ("precision", "recall", "F1", "texts", *taken_for):
        table.add_column(name, justify="right")
    for place, (label, of_class) in enumerate(report["test"]["per_class"].items()):
        scores = (f"{of_class[score]:.2f}" for score in ("precision", "recall", "f1"))
        row = map(str, matrix["rows"][place]) if matrix else ()
        table.add_row(shortened(label), *scores, str(of_class["support"]), *row)
    return table


def _languages(report: dict[str, Any]) -> Table:
    table = Table(title="Test, each language", title_justify="left")
    names = [name for name in report["test"] if name in NAMES]
    table.add_column("language")
    for name in ("texts", *(NAMES[name] for name in names)):
        table.add_column(name, justify="right")
    by_support = sorted(report["test"]["per_language"].items(), key=lambda entry: -entry[1]["support"])
    for language, found in by_support:
        table.add_row(shortened(language), str(found["support"]), *(shown(found[name]) for name in names))
    return table
