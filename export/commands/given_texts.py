"""The sentences of all files that an export was given, dealt to their uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.commands.known_tokens import judged_with_tokens, with_tokens

if TYPE_CHECKING:  # importing PyTorch takes seconds, which --help and a wrong option need not wait for
    from export.checkpoint.load import Checkpoint
    from export.texts.data_file import DataFile
    from export.texts.sentences import ChosenSentences, JudgedSentences, ProfiledTexts


@dataclass(frozen=True)
class GivenTexts:
    """Sentences; what is judged on is neither compared on nor calibrates."""

    own: "ChosenSentences"
    """Of `--data`."""
    other: "ChosenSentences | None"
    """Of `--calibration`."""
    validation: "JudgedSentences | None"
    """Of `--validation`."""
    data: Path | None = None
    """The file of `--data`."""

    @property
    def files(self) -> "list[ChosenSentences]":
        """Those of both files."""
        return [self.own, *([self.other] if self.other else [])]

    @property
    def without_truth(self) -> bool:
        """Whether there are sentences of `--data` alone, and they have no labels of the model's."""
        return self.other is None and self.own.truth is None

    @property
    def profiled(self) -> "ProfiledTexts | None":
        """What live texts can be held against; None of a checkpoint that the sample's mind maps say nothing of."""
        from export.texts.sentences import is_sample

        is_foreign = self.without_truth and self.data is not None and is_sample(self.data)
        return None if is_foreign else self.own.profiled

    @property
    def calibration(self) -> list[str]:
        """What sets scales: nothing that is tested or judged on, whatever file it is in."""
        tested = set(self.own.compared) if self.own.held_out else set()
        judged = [self.validation, *(file.judged for file in self.files)]
        tested.update(sentence for one in judged if one is not None for sentence in one.sentences)
        return [sentence for sentence in self.files[-1].calibration if sentence not in tested]


def deal_texts(checkpoint: "Checkpoint", read: "Mapping[str, DataFile]", to_judge: bool) -> GivenTexts:
    """Deal the sentences of `--data`, `--calibration` and `--validation`.

    Args:
        checkpoint: loaded; its tokenizer has to find a token in each.
        read: the files, by the options that named them.
        to_judge: whether a precision is to be judged.

    Raises:
        ExportError: a table has no columns that are known, or nothing is left to compare on.
    """
    from export.texts.sentences import validation_sentences

    judged, validation, calibration = None, read.get("--validation"), read.get("--calibration")
    if validation and to_judge:
        judged = validation_sentences(validation, checkpoint.labels, (checkpoint.split,))
        judged = judged and judged_with_tokens(checkpoint, validation.path, judged)
    other = _sentences(checkpoint, calibration, to_judge) if calibration else None
    # A test split is not halved where there is a validation split.
    divide = judged is None and not (other and other.judged and other.judged.is_validation)
    data = read["--data"]
    return GivenTexts(_sentences(checkpoint, data, to_judge and divide), other, judged, data.path)


def _sentences(checkpoint: "Checkpoint", data: "DataFile", to_judge: bool) -> "ChosenSentences":
    from export.texts.sentences import choose_sentences

    chosen = choose_sentences(data, checkpoint.labels, (checkpoint.split,), to_judge=to_judge)
    return with_tokens(checkpoint, data.path, chosen)
