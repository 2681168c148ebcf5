"""Is what somebody says of an answer something that can be said of it, and was the answer right?"""

import math
from typing import NamedTuple

from gateway.errors import InvalidRequestError
from gateway.feedback.answer_log import KnownAnswer, KnownVersion
from repository.feedback import Right
from repository.manifest import ProblemType

MOST_NAMED = 20
"""Labels that an error names."""


class Judged(NamedTuple):
    """What would have been right, and how the answer compares."""

    right: Right
    is_right: bool | None
    """None of a number."""
    error: float | None
    """How far a number was off; None of labels."""


def judge(answer: KnownAnswer, version: KnownVersion, given: Right) -> Judged:
    """Hold an answer against what somebody says would have been right.

    Args:
        answer: as it was given.
        version: the one that gave it.
        given: labels, or a number.

    Raises:
        InvalidRequestError: the version has no such label, or does not answer in that form.
    """
    if version.problem_type is ProblemType.REGRESSION:
        if not isinstance(given, float) or not isinstance(answer.answered, float):
            raise InvalidRequestError("This model answers with a number: give the right one as `value`.")
        return Judged(given, None, abs(given - answer.answered))
    if isinstance(given, float) or isinstance(answer.answered, float):
        raise InvalidRequestError("This model answers with labels: give the right one as `label`.")
    labels = list(dict.fromkeys(given))
    is_single = version.problem_type is ProblemType.SINGLE_LABEL or len(version.labels) == 1
    if is_single and len(labels) != 1:
        raise InvalidRequestError(f"This model answers with one label: give one, not {len(labels)}.")
    if unknown := [label for label in labels if label not in version.labels]:
        raise InvalidRequestError(
            f"Version {version.version} has no label {unknown[0][:100]!r}: give one of {_named(version.labels)}."
        )
    return Judged(labels, set(labels) == set(answer.answered), None)


def as_number(value: float) -> float:
    """The value, if it is a finite number. Raises InvalidRequestError: it is none."""
    if not math.isfinite(value):
        raise InvalidRequestError("The right value must be a finite number.")
    return value


def _named(labels: list[str]) -> str:
    more = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {more} more (GET /models lists them)" if more > 0 else "")
