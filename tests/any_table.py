"""Tables that are no mind maps: one label, several or a number for texts in columns of any name."""

import csv
import json
from pathlib import Path
from typing import Any

from repository.manifest import ProblemType
from tests.tiny_pipeline import CLASSES, TOPICS

COUNT = 120


def texts() -> list[tuple[str, str]]:
    """Texts and the class that each is about."""
    verbs = [(verb, label) for label, own in CLASSES.items() for verb in own.split()]
    return [
        (f"{verbs[n % len(verbs)][0]} {TOPICS[n % len(TOPICS)]} {n}", verbs[n % len(verbs)][1]) for n in range(COUNT)
    ]


def write_table(path: Path, labels: list[Any]) -> Path:
    rows = [
        {"headline": text, "body": f"more {n}", "answer": label}
        for n, ((text, _), label) in enumerate(zip(texts(), labels, strict=True))
    ]
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


LABELS = {
    "one": ("a.csv", ProblemType.SINGLE_LABEL, (), [label for _, label in texts()]),
    "several": (
        "a.csv",
        ProblemType.MULTI_LABEL,
        ("--label-separator", "|"),
        ["|".join(sorted({label, "Even"} if n % 2 else {label})) for n, (_, label) in enumerate(texts())],
    ),
    "a list": (
        "a.jsonl",
        ProblemType.MULTI_LABEL,
        (),
        [[label, "Even"] if n % 2 else [label] if n % 3 else [] for n, (_, label) in enumerate(texts())],
    ),
    "a number": ("a.csv", ProblemType.REGRESSION, (), [5000.5 + 1000 * len(label) for _, label in texts()]),
}
