"""How good a model is: accuracy, macro-F1, each class, each language, what is taken for what; as JSON and as tables."""

import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from repository.console import Console, Table, shortened, styled
from training.scores import accuracy, macro_f1

SCHEMA_VERSION = 1
REPORT_FILE = "training_report.json"
# What can change a figure.
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "scikit-learn", "numpy")

_DIGITS = 4


def figures(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str], languages: Sequence[str | None]
) -> dict[str, Any]:
    """Return the figures of one split.

    Args:
        truth: the label of each sentence.
        predicted: the label answered for each.
        classes: all labels, in the order of the confusion matrix.
        languages: of each sentence; None where the file doesn't say.

    Returns:
        `accuracy`, `macro_f1`, `per_class`, `per_language` (empty without languages) and `confusion_matrix` (rows are
        true classes, columns answered ones), all in 0 to 1.
    """
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=list(classes), zero_division=0.0
    )
    return {
        **_scores(truth, predicted),
        "per_class": {
            label: {
                "precision": round(float(precision[place]), _DIGITS),
                "recall": round(float(recall[place]), _DIGITS),
                "f1": round(float(f1[place]), _DIGITS),
                "support": int(support[place]),
            }
            for place, label in enumerate(classes)
        },
        "per_language": _per_language(truth, predicted, languages),
        "confusion_matrix": {
            "classes": list(classes),
            "rows": confusion_matrix(truth, predicted, labels=list(classes)).tolist(),
        },
    }


def _scores(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, Any]:
    return {
        "accuracy": round(accuracy(truth, predicted), _DIGITS),
        "macro_f1": round(macro_f1(truth, predicted), _DIGITS),
        "support": len(truth),
    }


def _per_language(
    truth: Sequence[str], predicted: Sequence[str], languages: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for language in sorted({language for language in languages if language}):
        of_it = [place for place, other in enumerate(languages) if other == language]
        true = [truth[place] for place in of_it]
        result[language] = _scores(true, [predicted[place] for place in of_it])
    return result


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a figure."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def show_report(report: dict[str, Any], console: Console) -> None:
    """Print a `training_report.json`'s figures as tables."""
    console.table(_summary(report), _classes(report))
    if report["test"]["per_language"]:
        console.table(_languages(report))
    if report["data"]["split_kind"] == "rows":
        warning = (
            "Split by rows: the titles of the test maps were trained on, so these figures say how well the model "
            "remembers titles. The figures for maps it has never seen come with --split maps."
        )
        console.print(styled(warning, "yellow"))
    for column, count in report["data"]["skipped_rows"].items():
        console.print(styled(f"{count} rows without {column} were left out.", "yellow"))


def _summary(report: dict[str, Any]) -> Table:
    unseen = {"maps": "maps never seen", "rows": "rows never seen, of maps seen"}[report["data"]["split_kind"]]
    table = Table(title=f"On {unseen}", title_justify="left")
    for name in ("", "validation accuracy", "validation macro-F1", "test accuracy", "test macro-F1"):
        table.add_column(name, justify="right" if name else "left")
    rows = [("this model", report)]
    if report["baseline"]:
        rows.append(("TF-IDF + logistic regression", report["baseline"]))
    for name, result in rows:
        scores = [result[split][score] for split in ("validation", "test") for score in ("accuracy", "macro_f1")]
        table.add_row(name, *(f"{score:.3f}" for score in scores))
    return table


def _classes(report: dict[str, Any]) -> Table:
    matrix = report["test"]["confusion_matrix"]
    table = Table(title="Test, each class; to the right, what it was taken for", title_justify="left")
    table.add_column("class", min_width=16)
    for name in ("precision", "recall", "F1", "ideas", *(shortened(label, 6) for label in matrix["classes"])):
        table.add_column(name, justify="right")
    for label, row in zip(matrix["classes"], matrix["rows"], strict=True):
        of_class = report["test"]["per_class"][label]
        scores = (f"{of_class[score]:.2f}" for score in ("precision", "recall", "f1"))
        table.add_row(shortened(label), *scores, str(of_class["support"]), *map(str, row))
    return table


def _languages(report: dict[str, Any]) -> Table:
    table = Table(title="Test, each language", title_justify="left")
    table.add_column("language")
    for name in ("ideas", "accuracy"):
        table.add_column(name, justify="right")
    by_support = sorted(report["test"]["per_language"].items(), key=lambda entry: -entry[1]["support"])
    for language, scores in by_support:
        table.add_row(shortened(language), str(scores["support"]), f"{scores['accuracy']:.3f}")
    return table
