"""How right are a version's answers, as far as feedback tells, and how much of them got any?"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.feedback.answer_log import VersionFigures
from repository.binomial import lower_bound, upper_bound

_EACH_SIDE = 0.975
"""Confidence of each bound, for 95 % between both."""


class Accuracy(NamedTuple):
    """Share of right answers among those that got feedback, with its 95 % interval."""

    observed: float
    lower: float
    upper: float


@lru_cache(maxsize=256)  # it is asked for at each look at /metrics
def accuracy_of(right: int, given: int) -> Accuracy | None:
    """The share with Clopper and Pearson's two-sided interval; None without feedback."""
    if not given:
        return None
    return Accuracy(right / given, lower_bound(right, given, _EACH_SIDE), upper_bound(right, given, _EACH_SIDE))


def families(figures: Sequence[VersionFigures]) -> Iterator[Metric]:
    """The gauges of these figures."""
    answers = _by_version("classifier_feedback_answers", "The last answers, which feedback may be given to.")
    given = _by_version("classifier_feedback_given", "Those among them that got feedback, each counted once.")
    coverage = _by_version("classifier_feedback_coverage", "Their share of these answers.")
    right = _by_version("classifier_feedback_right", "Those among them that were right.")
    error = _by_version("classifier_feedback_error", "Mean absolute error of a regression, by feedback.")
    accuracy = GaugeMetricFamily(
        "classifier_feedback_accuracy",
        "Share of right answers among those that got feedback, and the bounds of its 95 % interval.",
        labels=["version", "bound"],
    )
    for one in figures:
        number = str(one.version)
        answers.add_metric([number], one.answers)
        given.add_metric([number], one.given)
        coverage.add_metric([number], one.given / one.answers)
        if one.error is not None:
            error.add_metric([number], one.error)
            continue
        right.add_metric([number], one.right)
        for bound, value in (found._asdict() if (found := accuracy_of(one.right, one.given)) else {}).items():
            accuracy.add_metric([number, bound], value)
    yield from (answers, given, coverage, right, error, accuracy)


def _by_version(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=["version"])
