"""How good a model is: accuracy, macro-F1, each class, each language, what is taken for what; as JSON and as tables."""

import importlib.metadata
import math
import platform
from collections.abc import Sequence
from typing import Any

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from repository.console import Console, Table, shortened, styled
from repository.figures import NAMES
from repository.manifest import ProblemType
from training.examples import Target
from training.scores import indicators, scores

SCHEMA_VERSION = 2
REPORT_FILE = "training_report.json"
# What can change a figure.
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "scikit-learn", "numpy")

_DIGITS = 4


def figures(
    truth: Sequence[Target],
    predicted: Sequence[Target],
    classes: Sequence[str],
    languages: Sequence[str | None],
    task: ProblemType = ProblemType.SINGLE_LABEL,
) -> dict[str, Any]:
    """Return the figures of one split.

    Args:
        truth: the target of each text.
        predicted: what was answered for each.
        classes: all labels, in the order of the confusion matrix.
        languages: of each text; None where the data doesn't say.
        task: what a target is.

    Returns:
        What `training.scores.scores` gives (None where a figure does not exist) and `support`, the number of texts;
        `per_class` (empty for a regression), `per_language` (empty without languages); for single labels
        `confusion_matrix`, whose rows are true classes and columns answered ones.
    """
    found: dict[str, Any] = {**_scores(truth, predicted, task), "per_class": {}}
    if task is not ProblemType.REGRESSION:
        found["per_class"] = _per_class(truth, predicted, classes)
    found["per_language"] = _per_language(truth, predicted, languages, task)
    if task is ProblemType.SINGLE_LABEL:
        rows = confusion_matrix(truth, predicted, labels=list(classes)).tolist()
        found["confusion_matrix"] = {"classes": list(classes), "rows": rows}
    return found


def _per_class(
    truth: Sequence[Target], predicted: Sequence[Target], classes: Sequence[str]
) -> dict[str, dict[str, float]]:
    precision, recall, f1, support = precision_recall_fscore_support(
        indicators(truth, classes), indicators(predicted, classes), average=None, zero_division=0.0
    )
    return {
        label: {
            "precision": round(float(precision[place]), _DIGITS),
            "recall": round(float(recall[place]), _DIGITS),
            "f1": round(float(f1[place]), _DIGITS),
            "support": int(support[place]),
        }
        for place, label in enumerate(classes)
    }


def _scores(truth: Sequence[Target], predicted: Sequence[Target], task: ProblemType) -> dict[str, Any]:
    found = scores(truth, predicted, task)
    rounded = {name: round(value, _DIGITS) if math.isfinite(value) else None for name, value in found.items()}
    return {**rounded, "support": len(truth)}


def _per_language(
    truth: Sequence[Target], predicted: Sequence[Target], languages: Sequence[str | None], task: ProblemType
) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for language in sorted({language for language in languages if language}):
        of_it = [place for place, other in enumerate(languages) if other == language]
        true = [truth[place] for place in of_it]
        result[language] = _scores(true, [predicted[place] for place in of_it], task)
    return result


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a figure."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def show_report(report: dict[str, Any], console: Console) -> None:
    """Print a `training_report.json`'s figures as tables."""
    tables = [_summary(report)]
    if report["test"]["per_class"]:
        tables.append(_classes(report))
    if report["test"]["per_language"]:
        tables.append(_languages(report))
    console.table(*tables)
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
    for split in ("validation", "test"):
        for name in names:
            table.add_column(f"{split} {NAMES[name]}", justify="right")
    rows = [("this model", report)]
    if report["baseline"]:
        rows.append(("TF-IDF + logistic regression", report["baseline"]))
    for title, result in rows:
        table.add_row(title, *(shown(result[split][name]) for split in ("validation", "test") for name in names))
    return table


def shown(figure: float | None) -> str:
    """Return a figure for people."""
    return "-" if figure is None else f"{figure:.3f}"


def _classes(report: dict[str, Any]) -> Table:
    matrix = report["test"].get("confusion_matrix")
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
