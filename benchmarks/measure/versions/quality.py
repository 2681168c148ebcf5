"""What a user loses with each version: figures on texts that nothing in the table was trained on, beside PyTorch's."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.versions.row import Quality, Row
from export.parity.agreement import NEAR_TIE, decided, same_answer
from repository.inference import Float32Array
from repository.manifest import ProblemType
from training.data.examples import DataError, Example, Target
from training.data.reading import read_file
from training.data.split_record import SplitRecord
from training.figures.intervals import Interval, paired_intervals, score_intervals
from training.figures.scores import answers_of
from training.report.asked import UnusableError, ask, open_checkpoint, read_as_trained

MOST_TEXTS = 5000
"""Beyond it the texts are a sample: intervals hardly shrink, and each version is asked all of them."""
SEED = 0

__all__ = ["NEAR_TIE", "Reference", "judge", "pytorch_row", "read_reference"]


@dataclass(frozen=True)
class Reference:
    """PyTorch's answers to texts with true labels, which every version is held against."""

    name: str
    texts: list[str]
    truth: list[Target]
    groups: list[str]
    labels: list[str]
    logits: Float32Array
    """`[texts, labels]`"""
    task: ProblemType
    origin: str
    """What the texts are, in words."""


def read_reference(checkpoint: Path, data: Path, folders: Sequence[Path]) -> Reference:
    """Ask a checkpoint the texts of `data` that neither it nor anything in `folders` was trained on.

    Args:
        checkpoint: folder of a fine-tuned sequence classifier, or of a LoRA adapter.
        data: table with true labels.
        folders: versions and other checkpoints; what one was trained on, its `split.json` says.

    Raises:
        BenchmarkError: it cannot be asked, or no text is left.
    """
    try:
        records = [SplitRecord.read(folder) for folder in (checkpoint, *folders) if folder.is_dir()]
        known = [record for record in records if record is not None]
        examples = _unseen(data, known)
        loaded = open_checkpoint(checkpoint)
        texts = [example.text for example in examples]
        logits = np.asarray(ask(loaded, texts), dtype=np.float32)
    except (DataError, UnusableError) as error:
        raise BenchmarkError(str(error)) from None
    labels, task = list(loaded.labels), loaded.problem_type
    unknown = {label for example in examples for label in example.labels} - set(labels)
    if unknown and task is not ProblemType.REGRESSION:
        raise BenchmarkError(f"{data}: {checkpoint} has no label {sorted(unknown)[0]!r}, so that no answer could be it")
    groups = len({example.group for example in examples})
    seen = "that none of them was trained on" if known else "of which nobody can say whether they were trained on"
    origin = f"{len(texts)} texts in {groups} groups of {data.name}, {seen}"
    truth, of = [example.target for example in examples], [example.group for example in examples]
    return Reference(checkpoint.name, texts, truth, of, labels, logits, task, origin)


def judge(row: Row, reference: Reference) -> None:
    """Hold the answers of a version against the truth and against PyTorch's, in `row.quality`."""
    if row.logits is None:
        return
    answers, theirs = (
        answers_of(logits, reference.labels, reference.task) for logits in (row.logits, reference.logits)
    )
    truth, groups, task = reference.truth, reference.groups, reference.task
    same, clear = same_answer(row.logits, reference.logits, task), decided(reference.logits, task)
    row.quality = Quality(
        figures=score_intervals(truth, answers, groups, task),
        beside_pytorch=paired_intervals(truth, answers, theirs, groups, task),
        agreement=float(same.mean()),
        confident=int(clear.sum()),
        confident_changes=int((clear & ~same).sum()),
    )


def pytorch_row(reference: Reference) -> Row:
    """The reference itself: its figures are what the others are held against; it has no speed here."""
    row = Row(f"{reference.name}, PyTorch", None, logits=reference.logits)
    judge(row, reference)
    assert row.quality is not None
    nothing = dict.fromkeys(row.quality.beside_pytorch, Interval(0.0, float("nan"), float("nan")))
    row.quality = Quality(row.quality.figures, nothing, 1.0, row.quality.confident, 0)
    return row


def _unseen(data: Path, known: Sequence[SplitRecord]) -> list[Example]:
    """Texts of the file that were in no model's training, nor chose its best epoch."""
    found = read_as_trained([str(data)], known[0]).splits["test"] if known else list(read_file(data).examples)
    unseen = [
        example for example in found if all(record.split_of(example) not in ("train", "validation") for record in known)
    ]
    if not unseen:
        raise DataError(f"{data}: every text was trained on by one model or another; give a file that none knows")
    return unseen if len(unseen) <= MOST_TEXTS else random.Random(SEED).sample(unseen, MOST_TEXTS)
