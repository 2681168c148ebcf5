"""What is counted of feedback, in Prometheus's counters."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter

TAKEN = (
    "classifier_feedback",
    "Feedback that was taken, by whether the answer was right: yes, no, or number of a regression.",
)
FORGOTTEN = (
    "classifier_feedback_forgotten_answers",
    "Answers that could not be remembered, so that feedback to them is refused.",
)


@dataclass(frozen=True)
class FeedbackCounters:
    """What is counted of one model's while `FEEDBACK` is set."""

    taken: Callable[[str], Counter]
    """By whether the answer was right."""
    forgotten: Counter
