"""`POST /feedback`: the right label for an answer, known by its request's id."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, model_validator

from gateway.bodies import JsonRoute
from gateway.errors import UnknownAnswerError
from gateway.feedback.judging import as_number
from gateway.schemas import Body, ModelName
from gateway.services import service_of
from repository.feedback import Right

LONGEST_ID = 128
"""As `gateway.middleware` takes them."""
LONGEST_LABEL = 1000
"""No label of a model is longer (`training.data.examples`)."""
OFF = "Feedback is off: set FEEDBACK to a folder or to s3://bucket/prefix, and start the gateway again."

feedback_routes = APIRouter(tags=["feedback"], route_class=JsonRoute)


class FeedbackBody(Body):
    """What would have been the right answer: `label`, `labels` or `value`."""

    id: str = Field(
        min_length=1,
        max_length=LONGEST_ID,
        description="The header `X-Request-ID` of the answer.",
        examples=["1c80317fa3b1799d1c80317fa3b1799d"],
    )
    model: ModelName = None
    index: int | None = Field(
        None, ge=0, description="Place of the sentence in its request, from 0; not needed where it had one."
    )
    label: str | None = Field(None, max_length=LONGEST_LABEL, description="The right label.", examples=["Education"])
    labels: list[str] | None = Field(
        None, max_length=LONGEST_LABEL, description="Of a model of several labels: all that are right, maybe none."
    )
    value: float | None = Field(None, description="Of a model that answers with a number: the right one.")

    @model_validator(mode="after")
    def _one_of_three(self) -> "FeedbackBody":
        if sum(given is not None for given in (self.label, self.labels, self.value)) != 1:
            raise ValueError("give one of label, labels and value")
        return self

    @property
    def right(self) -> Right:
        """The labels, or the number. Raises InvalidRequestError: it is no finite number."""
        if self.value is not None:
            return as_number(self.value)
        return self.labels if self.labels is not None else [self.label or ""]


class FeedbackTaken(BaseModel):
    """What the feedback was to."""

    version: int = Field(description="The version that answered.")
    answered: list[str] | float = Field(description="Its labels, or its number.")
    right: bool | None = Field(description="Whether that was right; null of a number.")
    replaced: bool = Field(description="Whether earlier feedback to the same answer gives way to this.")


@feedback_routes.post("/feedback", summary="Say what would have been the right answer")
async def give_feedback(request: Request, body: FeedbackBody) -> FeedbackTaken:
    """Kept, and counted in `/metrics`. Given twice for one answer, the last one counts."""
    keeper = service_of(request, body.model).feedback
    if keeper is None:
        raise UnknownAnswerError(OFF)
    taken = await keeper.give(body.id, body.index, body.right)
    return FeedbackTaken(
        version=taken.answer.version,
        answered=taken.answer.answered,
        right=taken.is_right,
        replaced=taken.replaced,
    )
