"""What does `GET /models` say of feedback?"""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from gateway.feedback.answer_log import VersionFigures
from gateway.feedback.figures import accuracy_of


class FeedbackNow(BaseModel):
    """What feedback says of one version's answers, among the last ones."""

    answers: int = Field(description="Answers that are remembered.")
    given: int = Field(description="Those that got feedback, each counted once.")
    coverage: float = Field(description="Their share.")
    accuracy: float | None = Field(None, description="Share of right ones among those with feedback; null of numbers.")
    at_least: float | None = Field(None, description="Lower end of its 95 % interval.")
    at_most: float | None = Field(None, description="Upper end.")
    error: float | None = Field(None, description="Mean absolute error of a regression.")


def shown(figures: Sequence[VersionFigures], version: int) -> FeedbackNow | None:
    """The figures of one version; None where none of its answers is remembered."""
    found = next((one for one in figures if one.version == version), None)
    if found is None:
        return None
    now = FeedbackNow(answers=found.answers, given=found.given, coverage=found.given / found.answers, error=found.error)
    accuracy = accuracy_of(found.right, found.given) if found.error is None else None
    if accuracy is not None:
        now.accuracy, now.at_least, now.at_most = accuracy
    return now
