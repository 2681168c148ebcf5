"""What does a manifest say of a cascade, and what are the student's files and its model in Triton called?

A version that holds a cascade has a second graph, `student.onnx`, beside its `model.onnx`. Triton takes one graph from
a model's folder, so the second one is served by a model of its own, the *view*: a folder `MODEL.student` whose versions
are links to the versions of MODEL that have a student (`repository.student_view`). A link's number is the version's, so
that a student only ever answers for the version that it lies in.
"""

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STUDENT_FILE = "student.onnx"
STUDENT_GOLDEN_FILE = "student_golden.json"
STUDENT_PARITY_FILE = "student_parity.json"

STUDENT_SUFFIX = ".student"


def student_model(model_name: str) -> str:
    """The name in Triton of the model that serves the students of `model_name`'s versions."""
    return model_name + STUDENT_SUFFIX


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CascadeFigures(_Strict):
    """What a cascade does with some sentences at one bar; every share is of all of them."""

    sentences: int = Field(ge=1)
    answered: int = Field(ge=0, description="Sentences that the student answers.")
    disagreed: int = Field(ge=0, description="Those of them to which the model gives another label.")
    upper_bound: float = Field(
        ge=0, le=1, description="Of the share that disagrees: one-sided 95 % bound of Clopper and Pearson."
    )

    @property
    def coverage(self) -> float:
        """Share of the sentences that the student answers."""
        return self.answered / self.sentences


class CascadeBar(CascadeFigures):
    """A bar, and what it did with the sentences that it was chosen on."""

    bar: float = Field(ge=0, le=1, description="Least calibrated confidence with which the student answers.")


class Cascade(_Strict):
    """A student that answers the sentences it is sure of in place of the model, and how often it may be off."""

    source: str = Field(description="Name of the checkpoint that the student was exported from.")
    precision: Literal["fp32", "fp16", "int8"] = Field(description="Of the student's graph.")
    delta: float = Field(
        gt=0, lt=1, description="Most of all sentences on which the student may answer otherwise than the model."
    )
    temperature: float = Field(gt=0, description="The student's logits are divided by it before the softmax.")
    bars: list[CascadeBar] = Field(
        min_length=1,
        description="The bar that was chosen, then stricter ones that the gateway goes to, one by one, when its audit "
        "finds too many disagreements.",
    )
    origin: str = Field(description="Which sentences the bar was chosen on, in words.")
    cost: float = Field(
        gt=0, description="Time the student takes for a sentence, as a share of the model's, measured at export."
    )
    test: CascadeFigures | None = Field(
        None, description="The chosen bar on sentences that nothing was chosen or trained on; null if there are none."
    )
    test_accuracy: float | None = Field(None, ge=0, le=1, description="Of the cascade, where `test` has labels.")
    model_accuracy: float | None = Field(None, ge=0, le=1, description="Of the model alone on the same sentences.")

    @model_validator(mode="after")
    def _check(self) -> "Cascade":
        if any(looser.bar >= stricter.bar for looser, stricter in pairwise(self.bars)):
            raise ValueError("each bar must be above the one before it")
        return self
