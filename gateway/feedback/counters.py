"""What is counted of feedback, in Prometheus's counters."""

from prometheus_client import CollectorRegistry, Counter


class FeedbackCounters:
    """What is counted while `FEEDBACK` is set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.taken = Counter(
            "classifier_feedback",
            "Feedback that was taken, by whether the answer was right: yes, no, or number of a regression.",
            ("right",),
            registry=registry,
        )
        self.forgotten = Counter(
            "classifier_feedback_forgotten_answers",
            "Answers that could not be remembered, so that feedback to them is refused.",
            registry=registry,
        )
