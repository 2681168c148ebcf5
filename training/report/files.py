"""The files of a report: figures as JSON, the same as a page, the model card, and each test text's answer."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repository.inference import scores as scores_of
from repository.manifest import CARD_FILE, REPORT_PAGE, ProblemType
from repository.strict_json import strict_json
from training.data.load import TrainingData
from training.figures.scores import answers_of
from training.report.contents import REPORT_FILE
from training.report.html_report import html_report
from training.report.model_card import model_card
from training.report.settings import UNKNOWN_LICENSE, ReportKind

PREDICTIONS_FILE = "predictions.jsonl"
_DIGITS = 16


def write_report(
    report: dict[str, Any], folder: Path, kind: ReportKind, name: str, license_id: str = UNKNOWN_LICENSE
) -> None:
    """Write what is to travel with a checkpoint into its folder.

    Args:
        report: what `training_report.json` is to hold.
        folder: exists.
        kind: `full` has the worst mistakes with their texts; `figures` no text of the data; `none` writes the JSON,
            without texts, and neither page nor card.
        name: of the model, for its card.
        license_id: of the model, for its card.
    """
    kept = report if kind is ReportKind.full else without_texts(report)
    text = strict_json(kept, indent=2, ensure_ascii=False)
    (folder / REPORT_FILE).write_text(f"{text}\n", encoding="utf-8")
    if kind is not ReportKind.none:
        kept = json.loads(text)  # what is no number there is none in the page either
        (folder / REPORT_PAGE).write_text(html_report(kept), encoding="utf-8")
        (folder / CARD_FILE).write_text(model_card(kept, name, license_id), encoding="utf-8")


def without_texts(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without a text of the data; titles of groups that were copies count as such."""
    copies = {**report["data"]["copies"], "sets": []}
    return {**report, "mistakes": None, "data": {**report["data"], "copies": copies}}


def write_predictions(data: TrainingData, logits: Any, folder: Path, labels: Sequence[str] | None = None) -> None:
    """Write what was answered to each test text, one JSON object a line; no text can be read from it.

    `row` and `text` (a digest) say which, `group` (a digest) what it belongs to, then `truth`, `answer`, and `score`:
    of the best label; of several a list beside the labels; of a number none.

    Args:
        data: its test split.
        logits: `[texts, labels]`.
        folder: of the checkpoint.
        labels: in the order of the logits; None: the data's.
    """
    labels = data.labels if labels is None else labels
    examples = data.splits["test"]
    answers, scores = answers_of(logits, labels, data.task), np.round(scores_of(logits, data.task).astype(float), 6)
    with (folder / PREDICTIONS_FILE).open("w", encoding="utf-8") as file:
        for example, answer, row in zip(examples, answers, scores, strict=True):
            line: dict[str, Any] = {
                "row": example.row,
                "text": _digest(example.text),
                "group": _digest(example.group),
                "truth": example.target,
                "answer": answer,
            }
            if data.task is ProblemType.SINGLE_LABEL:
                line["score"] = float(row.max())
            elif data.task is ProblemType.MULTI_LABEL:
                line["score"] = dict(zip(labels, row.tolist(), strict=True))
            file.write(strict_json(line, ensure_ascii=False) + "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
