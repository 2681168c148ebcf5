"""What does the server want to hear of an answer? Its id and place, and what would have been right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from text_classifier_client.answers import Answer


def feedback_fields(
    answer: Answer, label: str | None, labels: Iterable[str] | None, value: float | None
) -> dict[str, Any]:
    """The body of `POST /feedback`.

    Raises:
        ValueError: not exactly one right answer is given, or the answer has no id.
    """
    right = {"label": label, "labels": None if labels is None else list(labels), "value": value}
    given = {name: each for name, each in right.items() if each is not None}
    if len(given) != 1:
        raise ValueError("give one of label, labels and value: what would have been right")
    if answer.request_id is None:
        raise ValueError("the answer has no request_id, by which the server would know it")
    named = {} if answer.model is None else {"model": answer.model}
    return {"id": answer.request_id, "index": answer.index, **named, **given}
