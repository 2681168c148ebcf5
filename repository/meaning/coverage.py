"""What does a manifest say of sets of labels that hold the right one in, say, 95 % of cases?"""

from typing import Literal

from pydantic import Field

from repository.meaning.calibration import Bounded, Strict

HELD_OUT_FILE = "held_out.json"
"""The file of a version folder that holds the nonconformity of held-out texts; no text can be read from it."""
MOST_TEXTS = 20_000
"""That a version keeps: 0.4 MB."""


class CoverageTest(Strict):
    """How often the sets held the right label, on texts that had no say in them."""

    coverage: float = Field(gt=0, lt=1, description="What was asked for.")
    observed: Bounded = Field(description="Share of texts whose set held the right label; each group counts the same.")
    mean_labels: float = Field(ge=0, description="Labels in a set, on average.")
    single: float = Field(ge=0, le=1, description="Share of sets of one label.")
    by_class: list[str] = Field(description="Labels for which the promise holds by themselves.")


class Coverage(Strict):
    """What is known of the sets of labels that a request with `coverage` is answered with."""

    method: Literal["by_group"] = "by_group"
    sentences: int = Field(ge=1, description="Held-out texts whose nonconformity the version keeps.")
    groups: int = Field(ge=1, description="Groups that they come from.")
    origin: str = Field(description="Which texts, in words.")
    most: float = Field(gt=0, lt=1, description="The largest coverage that can be asked for.")
    test_sentences: int | None = Field(None, ge=1)
    test_origin: str | None = None
    test: list[CoverageTest] = Field([], description="Empty where there were no other texts with labels.")
