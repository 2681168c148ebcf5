"""The real sentences an export is checked on, and the others that int8 is calibrated on.

Of a labelled CSV these are the test and the training split; of a text file with one sentence a line, every fifth line
calibrates and the rest is checked on.
"""

import random
from pathlib import Path
from typing import TypeVar

from export import ExportError
from training.data import DataError, load_split

Item = TypeVar("Item")

# Enough that 99 % agreement is told from 98.5 %, few enough that three precisions are measured within a minute.
MOST_SENTENCES = 1000
# Each is run alone; some 4000 tokens, more than any product of a small encoder has inputs.
MOST_CALIBRATION = 256
# Of a text file, the line of every so many that is kept for calibration.
CALIBRATION_EVERY = 5


def load_sentences(path: Path, labels: list[str], whole: bool = False) -> tuple[list[str], list[str] | None]:
    """Sentences, and their true labels where the file has them and they are this checkpoint's labels.

    Args:
        path: a CSV as for training, of which the test split is taken, or a text file.
        labels: the checkpoint's.
        whole: take the lines of a text file, too, that are otherwise left for calibration.

    Raises:
        ExportError: the file is missing, holds no sentence or is not what its ending says.
    """
    if path.suffix.lower() == ".csv":
        try:
            sentences, truth = load_split(path, "test")
        except DataError as error:
            raise ExportError(str(error)) from None
        pairs = _sample(list(zip(sentences, truth, strict=True)), MOST_SENTENCES)
        known = {label for _, label in pairs} <= set(labels)
        return [sentence for sentence, _ in pairs], [label for _, label in pairs] if known else None
    found = _lines(path)
    compared = found if whole else [line for i, line in enumerate(found, 1) if i % CALIBRATION_EVERY]
    return _sample(compared, MOST_SENTENCES), None


def load_calibration(path: Path) -> list[str]:
    """Sentences of the same file that `load_sentences` leaves out; none if a text file has fewer than five lines.

    Raises:
        ExportError: the file is missing, holds no sentence or is not what its ending says.
    """
    if path.suffix.lower() == ".csv":
        try:
            return _sample(list(load_split(path, "train")[0]), MOST_CALIBRATION)
        except DataError as error:
            raise ExportError(str(error)) from None
    return _sample(_lines(path)[CALIBRATION_EVERY - 1 :: CALIBRATION_EVERY], MOST_CALIBRATION)


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} cannot be read as UTF-8 text: {error}") from None
    if not (found := [line for line in lines if line]):
        raise ExportError(f"{path} holds no sentence; give one a line")
    return found


def _sample(items: list[Item], most: int) -> list[Item]:
    return items if len(items) <= most else random.Random(0).sample(items, most)
