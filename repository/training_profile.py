"""What were the texts like that a version was trained on, and what did it answer? Counts, to hold live ones against.

`profile.json` of a version folder; the export writes it where it was given the texts. It holds counts alone, no text.
"""

import logging
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from repository.manifest import ProblemType, RepositoryError, StrictModel, first_mistake

logger = logging.getLogger(__name__)

PROFILE_FILE = "profile.json"

SCORE_EDGES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
"""Upper ends of the bins of scores, but for the last bin's; close where a classifier's scores are."""
LENGTH_EDGES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
"""The same of lengths in tokens, special tokens included."""
MOST_EDGES = 32

MOST_LABELS = 100
"""Labels that are counted by name, the most frequent first; what is beyond is `OTHER_LABEL`."""
OTHER_LABEL, NO_LABEL = "(other)", "(none)"
LEAST_OF_MULTI_LABEL = 0.5
"""The best label of a model of several labels counts from here on; else there is `NO_LABEL`."""

_UNKNOWN_TOKENS = ("<unk>", "[UNK]", "<UNK>")


class TrainingProfile(StrictModel):
    """`profile.json` of a version folder: counts, and no text."""

    schema_version: Literal[1] = 1
    texts: int = Field(ge=1, description="Texts that lengths, scripts and unknown tokens were counted on.")
    texts_origin: str = Field(description="Which they are, in words.")
    answers: int = Field(ge=1, description="Texts that labels and scores were counted on.")
    answers_origin: str = Field(description="Which: held out from training where there are such, as live texts are.")
    labels: dict[str, int] = Field(description="Answers by their best label.")
    score_edges: list[float] = Field(
        max_length=MOST_EDGES, description="Upper ends of the bins of the best score, but for the last one's."
    )
    scores: list[int]
    length_edges: list[int] = Field(max_length=MOST_EDGES, description="The same of lengths in tokens.")
    lengths: list[int]
    scripts: dict[str, int]
    with_unknown: int = Field(ge=0, description="Texts with a token that the vocabulary does not know.")
    unknown_token_share: float = Field(ge=0, le=1, description="Of all tokens.")

    @model_validator(mode="after")
    def _check(self) -> "TrainingProfile":
        for edges, counts in ((self.score_edges, self.scores), (self.length_edges, self.lengths)):
            if len(counts) != len(edges) + 1 or list(edges) != sorted(edges):
                raise ValueError("edges must rise, and bins be one more than they")
        return self

    @classmethod
    def read(cls, folder: Path) -> "TrainingProfile | None":
        """Read `folder/profile.json`; None where it is of another form, which is no reason to refuse a version.

        Raises:
            RepositoryError: it cannot be read at all.
        """
        path = folder / PROFILE_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RepositoryError(f"{path} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            logger.warning("%s is not used, drift is not told: %s", path, first_mistake(error))
            return None

    def write(self, folder: Path) -> None:
        """Write `folder/profile.json`."""
        (folder / PROFILE_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def bin_of(edges: Sequence[float], value: float) -> int:
    """The bin of a value: the first whose upper end is not below it."""
    return bisect_left(edges, value)


def binned(edges: Sequence[float], values: Sequence[float]) -> list[int]:
    """How many values are in each bin."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bin_of(edges, value)] += 1
    return counts


def named_labels(labels: Sequence[str], counts: Mapping[str, int] | None = None) -> list[str]:
    """What each of a model's labels is counted as: its name, or `OTHER_LABEL` past the bound.

    Args:
        labels: the model's.
        counts: how often each was answered; without them the first ones have names.
    """
    frequent = sorted(labels, key=lambda label: -(counts or {}).get(label, 0))[:MOST_LABELS]
    kept = set(frequent)
    return [label if label in kept else OTHER_LABEL for label in labels]


def best_label(labels: Sequence[str], problem_type: ProblemType, best: int, score: float) -> str | None:
    """What an answer is counted as, whatever threshold it was asked with; None of a regression."""
    if problem_type is ProblemType.REGRESSION:
        return None
    if problem_type is ProblemType.MULTI_LABEL and len(labels) > 1 and score < LEAST_OF_MULTI_LABEL:
        return NO_LABEL
    return labels[best]


def unknown_token_id(tokenizer: Any) -> int | None:
    """The id that a tokenizer gives for what its vocabulary does not know; None where it knows every byte."""
    found = (tokenizer.token_to_id(name) for name in _UNKNOWN_TOKENS)
    return next((number for number in found if number is not None), None)
