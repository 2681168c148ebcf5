"""The report's figures are those of scikit-learn, by class and by language, and its tables show them."""

import io
from typing import Any

import pytest

from repository.console import Console
from training.report.contents import figures, show_report, versions

pytest.importorskip("sklearn")

CLASSES = ["Education", "Life", "Other"]
TRUTH = ["Education", "Education", "Life", "Life", "Other", "Education"]
ANSWERED = ["Education", "Life", "Life", "Life", "Education", "Education"]
LANGUAGES = ["en", "en", "en", "es", "es", "es"]


@pytest.fixture
def result() -> dict[str, Any]:
    return figures(TRUTH, ANSWERED, CLASSES, LANGUAGES)


def test_accuracy_and_macro_f1_are_right(result: dict[str, Any]) -> None:
    assert result["accuracy"] == pytest.approx(4 / 6, abs=1e-4)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3, abs=1e-4)


def test_a_class_never_answered_counts_as_zero_and_is_no_error(result: dict[str, Any]) -> None:
    assert result["per_class"]["Other"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_the_confusion_matrix_has_true_classes_in_rows(result: dict[str, Any]) -> None:
    assert result["confusion_matrix"] == {"classes": CLASSES, "rows": [[2, 1, 0], [0, 2, 0], [1, 0, 0]]}


def test_a_language_is_measured_over_the_classes_it_has(result: dict[str, Any]) -> None:
    assert result["per_language"]["en"] == {"accuracy": 0.6667, "macro_f1": 0.6667, "support": 3}
    assert result["per_language"]["es"]["support"] == 3


def test_a_file_without_languages_has_no_figures_by_language() -> None:
    assert figures(TRUTH, ANSWERED, CLASSES, [None] * 6)["per_language"] == {}


def test_the_versions_that_can_change_a_figure_are_named() -> None:
    assert {"python", "torch", "transformers", "tokenizers", "scikit-learn"} <= set(versions())


@pytest.mark.parametrize("kind", ["groups", "rows"])
def test_the_tables_show_the_model_beside_the_baseline_and_warn_of_a_leak(result: dict[str, Any], kind: str) -> None:
    report = {
        "data": {
            "split_kind": kind,
            "skipped_rows": {"idea_title": 3},
            "unit": "maps",
            "copies": {"groups": 0, "sets": []},
        },
        "validation": result,
        "test": result,
        "baseline": {"validation": result, "test": result},
    }
    screen = io.StringIO()
    show_report(report, Console(file=screen, width=160))
    shown = screen.getvalue()
    assert "TF-IDF + logistic regression" in shown
    assert "0.667" in shown
    assert "3 rows without idea_title were left out" in shown
    assert ("remembers titles" in shown) == (kind == "rows")


def test_a_confusion_matrix_that_does_not_fit_is_left_to_the_report(result: dict[str, Any]) -> None:
    classes = [f"class number {number}" for number in range(7)]
    rows = [[1000 + number] * 7 for number in range(7)]
    test = result | {
        "per_class": {name: {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 7000} for name in classes},
        "confusion_matrix": {"classes": classes, "rows": rows},
    }
    data = {"split_kind": "groups", "skipped_rows": {}, "unit": "maps", "copies": {"groups": 0, "sets": []}}
    shown = {}
    for width in (80, 121, 160):
        screen = io.StringIO()
        show_report(
            {"data": data, "validation": test, "test": test, "baseline": None}, Console(file=screen, width=width)
        )
        shown[width] = screen.getvalue()
    assert "1000" not in shown[80]
    assert "widen the window" in shown[80]
    for width in (121, 160):
        assert all(f" {1000 + number} " in shown[width] for number in range(7))
        assert shown[width].count(" 1006 ") == 7
