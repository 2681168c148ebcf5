"""What people said of a served model's answers, as further training texts; none of them is held out.

A model is judged on texts that it has never seen, nor any like them. So feedback is trained on alone, whatever it is
about; and what looks like a text of validation or test, or is of a group that is there, is left out: callers ask what
they have at hand, which may well be a row of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from repository.feedback import FeedbackLine, read_feedback
from repository.location import parse_location
from repository.manifest import ProblemType, RepositoryError
from training.data.examples import DataError, Example, Target, fold_white_space
from training.data.file_text import normal
from training.data.load import TrainingData
from training.data.lookalikes import alike_title

_NOTHING = "sentences are kept where the gateway runs with FEEDBACK_SENTENCES=true"


@dataclass
class FeedbackCounts:
    """What became of each row; a row is the latest feedback to one answer."""

    rows: int
    broken: int
    """Lines that could not be read."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows by why they are not trained on."""
    trained: int = 0
    contradict: int = 0
    """Of those that are trained on: the data has the same text with another label, too."""

    def skip(self, why: str) -> None:
        """Count one that is left out."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def told(self) -> str:
        """In one line."""
        parts = [f"{count} {why}" for why, count in self.left_out.items()]
        parts += [f"{self.broken} lines could not be read"] if self.broken else []
        others = f" ({'; '.join(parts)})" if parts else ""
        contradict = f" {self.contradict} of them contradict a row of the data." if self.contradict else ""
        return f"Feedback: {self.trained} of {self.rows} rows are trained on{others}.{contradict}"


def with_feedback(data: TrainingData, source: str) -> tuple[TrainingData, FeedbackCounts]:
    """The data with feedback among its training texts.

    Args:
        data: read and split, for good: nothing moves from one split to another after this.
        source: what `FEEDBACK` of the gateway was, a folder or an address in S3, or the folder of one model in it.

    Raises:
        DataError: there is no feedback, none of it has its sentence, or it is on a model for another task.
    """
    try:
        location = parse_location(source)
        read = read_feedback(Path(source).expanduser() if isinstance(location, str) else location)  # type: ignore[arg-type]
    except (RepositoryError, ValueError) as error:
        raise DataError(f"--feedback: {error}.") from None
    counts = FeedbackCounts(len(read.lines), read.broken)
    if read.lines and not any(line.sentence for line in read.lines):
        raise DataError(f"--feedback: none of the {len(read.lines)} rows has its sentence: {_NOTHING}.")
    target_of = _reader(data)
    latest: dict[str, Example] = {}
    for line in read.lines:
        text = fold_white_space(line.sentence or "")
        if not text:
            counts.skip(f"without the sentence: {_NOTHING}")
            continue
        target = target_of(line)
        if target is None:
            counts.skip("with a label that the data does not have")
            continue
        if text in latest:
            counts.skip("given anew for the same text")
        latest.pop(text, None)
        latest[text] = Example(text, target, alike_title(text))
    added = _Kept(data, counts).of(list(latest.values()))
    counts.trained = len(added)
    splits = {**data.splits, "train": [*data.splits["train"], *added]}
    return replace(data, splits=splits, feedback=len(added)), counts


class _Kept:
    """Decides which texts may be trained on."""

    def __init__(self, data: TrainingData, counts: FeedbackCounts) -> None:
        held_out = [*data.splits["validation"], *data.splits["test"]]
        self._texts = {alike_title(example.text) for example in held_out}
        # A mind map's text ends with its map's title: whoever has seen one idea of a map knows much of the others.
        titles = {alike_title(example.group_title) for example in held_out}
        self._titles = tuple(titles - {""})
        self._record = data.record
        self._targets: dict[str, set[Target]] = {}
        for example in data.splits["train"]:
            self._targets.setdefault(example.text, set()).add(example.target)
        self._counts = counts

    def of(self, examples: list[Example]) -> list[Example]:
        return [example for example in examples if self._is_kept(example)]

    def _is_kept(self, example: Example) -> bool:
        key = alike_title(example.text)
        if key in self._texts or key.endswith(self._titles) or self._record.split_of(example) in ("validation", "test"):
            self._counts.skip("like texts of validation or test")
            return False
        known = self._targets.get(example.text, set())
        if example.target in known:
            self._counts.skip("in the training data already")
            return False
        self._counts.contradict += bool(known)
        return True


def _reader(data: TrainingData) -> Callable[[FeedbackLine], Target | None]:
    """What reads the right answer of a line; it gives None for a label that the data does not have."""
    own = {fold_white_space(normal(label)): label for label in data.labels}

    def read(line: FeedbackLine) -> Target | None:
        if isinstance(line.right, float) != (data.task is ProblemType.REGRESSION):
            answers = "a number" if isinstance(line.right, float) else "labels"
            raise DataError(f"--feedback: its model answers with {answers}; the data has {data.kind_of_label}.")
        if isinstance(line.right, float):
            return line.right
        labels = [own.get(fold_white_space(normal(label))) for label in line.right]
        known = [label for label in labels if label is not None]
        if len(known) < len(labels):
            return None
        if data.task is ProblemType.MULTI_LABEL:
            return tuple(sorted(known))
        return known[0] if len(known) == 1 else None

    return read
