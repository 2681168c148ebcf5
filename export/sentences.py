"""The real sentences an export is checked on: a labelled CSV's test split, or a text file with one sentence a line."""

import random
from pathlib import Path
from typing import TypeVar

from export import ExportError
from training.data import DataError, load_split

Item = TypeVar("Item")

# Enough that 99 % agreement is told from 98.5 %, few enough that three precisions are measured within a minute.
MOST_SENTENCES = 1000


def load_sentences(path: Path, labels: list[str]) -> tuple[list[str], list[str] | None]:
    """Sentences, and their true labels where the file has them and they are this checkpoint's labels.

    Raises:
        ExportError: the file is missing, holds no sentence or is not what its ending says.
    """
    if path.suffix.lower() == ".csv":
        try:
            sentences, truth = load_split(path, "test")
        except DataError as error:
            raise ExportError(str(error)) from None
        pairs = _sample(list(zip(sentences, truth, strict=True)))
        known = {label for _, label in pairs} <= set(labels)
        return [sentence for sentence, _ in pairs], [label for _, label in pairs] if known else None
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} cannot be read as UTF-8 text: {error}") from None
    if not (found := [line for line in lines if line]):
        raise ExportError(f"{path} holds no sentence; give one a line")
    return _sample(found), None


def _sample(items: list[Item]) -> list[Item]:
    return items if len(items) <= MOST_SENTENCES else random.Random(0).sample(items, MOST_SENTENCES)
