"""The report as one HTML file that a person opens: no script, no other host, whatever labels and texts hold as text."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from repository.figures import NAMES
from repository.names import visible
from training.report.charts import (
    ascending_bins,
    curve_chart,
    epochs_chart,
    interval_bar,
    reliability_chart,
    scatter_chart,
)
from training.report.contents import shown
from training.report.findings import distilled_in_words, findings

_TEMPLATES = Path(__file__).parent / "templates"
# A matrix of more classes has cells that nobody can read: its commonest confusions are listed in its place.
WIDEST_MATRIX = 16
MOST_CONFUSIONS = 30
_SHADES = 9
# Some scripts, and families of emoji, need them.
_JOINERS = "\u200c\u200d"

TASKS = {
    "single_label_classification": "one label a text",
    "multi_label_classification": "several labels a text",
    "regression": "a number",
}


def html_report(report: dict[str, Any]) -> str:
    """Return the page for what `training_report.json` holds.

    Args:
        report: with or without `mistakes`; what a report of an earlier version lacks is left out of the page.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": _plain, "number": number, "percent": _percent, "target": _target}
    environment.globals |= {
        "interval_bar": interval_bar,
        "reliability_chart": reliability_chart,
        "scatter_chart": scatter_chart,
        "curve_chart": curve_chart,
        "epochs_chart": epochs_chart,
        "ascending_bins": ascending_bins,
    }
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        report=report,
        style=style,
        # No style but this one: an attribute or element that a label smuggled in would have no effect.
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        names=NAMES,
        shown_figures=[name for name in report["test"] if name in NAMES],
        task=TASKS[report["task"]],
        findings=findings(report),
        distilled=_plain(distilled_in_words(report["teacher"])) if report.get("teacher") else None,
        matrix=_matrix(report["test"].get("confusion_matrix")),
        confusions=_confusions(report["test"].get("confusion_matrix")),
    )


def number(value: float | None) -> str:
    """Return a figure for people: three decimals, fewer of large numbers."""
    if value is None or abs(value) < 10:
        return shown(value)
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:g} %"


def _plain(text: object) -> str:
    """Data as it is shown: signs that would turn the direction of the page, or hide, are spelled out."""
    lines = ("".join(each if each in _JOINERS else visible(each) for each in line) for line in str(text).splitlines())
    return "\n".join(lines) or "(empty)"


def _target(target: Any) -> str:
    if isinstance(target, list | tuple):
        return ", ".join(map(_plain, target)) or "(no label)"
    return number(target) if isinstance(target, int | float) else _plain(target)


def _matrix(matrix: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """Rows with their cells: the count and a shade by its share of the row."""
    if matrix is None or len(matrix["classes"]) > WIDEST_MATRIX:
        return None
    return [
        {
            "label": label,
            "total": sum(row),
            "cells": [
                {"count": count, "right": place == other, "shade": -(-_SHADES * count // max(1, sum(row)))}
                for other, count in enumerate(row)
            ],
        }
        for place, (label, row) in enumerate(zip(matrix["classes"], matrix["rows"], strict=True))
    ]


def _confusions(matrix: dict[str, Any] | None) -> list[tuple[str, str, int]]:
    """The commonest, of a matrix that is too wide to be shown."""
    if matrix is None or len(matrix["classes"]) <= WIDEST_MATRIX:
        return []
    classes = matrix["classes"]
    found = [
        (classes[true], classes[answered], count)
        for true, row in enumerate(matrix["rows"])
        for answered, count in enumerate(row)
        if true != answered and count
    ]
    return sorted(found, key=lambda each: -each[2])[:MOST_CONFUSIONS]
