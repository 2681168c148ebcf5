"""What does the server answer? Its JSON and headers, as typed answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from text_classifier_client.errors import BadAnswerError

REQUEST_ID = "x-request-id"


@dataclass(frozen=True)
class LabelScore:
    """One label and its score."""

    label: str
    score: float


@dataclass(frozen=True)
class Answer:
    """The answer to one text.

    Attributes:
        labels: every label that was answered, best first: one of a plain request, several or none of a multi-label
            model, of `top_k`, `min_score` or `coverage`.
        version: the model's version that answered; None where the server does not say it.
        model: the model that was asked by name; None for the server's default.
        request_id: by which the server's log and feedback know the request; several texts may share one.
        index: place of the text in its request, from 0: what feedback is given by, beside `request_id`.
        receipt: signed by the server, where the call asked for it.
        truncated: whether the text was cut at the model's limit; None where the server says it of a part of a request
            only, and so not of which texts.
        windows: in how many windows the text was read; None where the server tells it of the first texts alone.
        calibrated: whether the scores are calibrated; None where that was not asked for.
        answered_by: "student" or "model" of a version that has both; None where it is not known.
    """

    labels: tuple[LabelScore, ...]
    version: int | None = None
    model: str | None = None
    request_id: str | None = None
    index: int = 0
    receipt: str | None = None
    truncated: bool | None = False
    windows: int | None = 1
    calibrated: bool | None = None
    answered_by: str | None = None

    @property
    def label(self) -> str | None:
        """The best label; None where no label was answered."""
        return self.labels[0].label if self.labels else None

    @property
    def score(self) -> float | None:
        """The best label's score; None where no label was answered."""
        return self.labels[0].score if self.labels else None

    @property
    def names(self) -> tuple[str, ...]:
        """The labels without their scores: what a multi-label model says of the text."""
        return tuple(each.label for each in self.labels)

    @property
    def value(self) -> float:
        """The number that a regression model answers.

        Raises:
            ValueError: there is not exactly one.
        """
        if len(self.labels) != 1:
            raise ValueError(f"the answer has {len(self.labels)} labels, so there is no one number")
        return self.labels[0].score

    def scores(self) -> dict[str, float]:
        """Score by label, best first."""
        return {each.label: each.score for each in self.labels}


def answers_of(body: bytes, headers: Mapping[str, str], count: int, model: str | None) -> list[Answer]:
    """The answers to a request, in the order of its texts.

    Args:
        body: of an answer with status 200.
        headers: of the same.
        count: texts of the request.
        model: that was asked by name.

    Raises:
        BadAnswerError: it is not what a classifier answers.
    """
    request_id = headers.get(REQUEST_ID)
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        _refuse(f"The answer is no JSON: it begins with {body[:60]!r}.", request_id)
    if not isinstance(listed, list) or len(listed) != count:
        _refuse(f"The answer is no list of {count}, one for each text.", request_id)
    facts = _Facts(headers, count)
    return [
        Answer(
            labels=_labels(each, request_id),
            version=facts.version,
            model=model,
            request_id=request_id,
            index=index,
            receipt=each.get("receipt") if isinstance(each, dict) else None,
            truncated=facts.truncated,
            windows=facts.windows[index],
            calibrated=facts.calibrated,
            answered_by=facts.answered_by,
        )
        for index, each in enumerate(listed)
    ]


def _labels(answer: Any, request_id: str | None) -> tuple[LabelScore, ...]:
    listed: Any = answer.get("answer") if isinstance(answer, dict) else answer
    try:
        found = tuple(LabelScore(each["label"], float(each["score"])) for each in listed)
        if all(isinstance(each.label, str) for each in found):
            return found
    except (TypeError, KeyError, ValueError):
        pass
    return _refuse("The answer to a text is no list of labels with scores.", request_id)


def _refuse(says: str, request_id: str | None) -> NoReturn:
    raise BadAnswerError(says, 200, request_id) from None


class _Facts:
    """What the headers say of all answers of a request."""

    def __init__(self, headers: Mapping[str, str], count: int) -> None:
        version = headers.get("x-model-version", "")
        self.version = int(version) if version.isdecimal() else None
        self.truncated = _truncated(headers.get("x-truncated"))
        self.windows = _windows(headers.get("x-windows", ""), count)
        calibrated = headers.get("x-calibrated")
        self.calibrated = None if calibrated is None else calibrated == "true"
        answered_by = headers.get("x-answered-by")
        self.answered_by = None if answered_by == "both" else answered_by


def _truncated(header: str | None) -> bool | None:
    """`true`, or `2 of 8`."""
    if header is None:
        return False
    cut, _, count = header.partition(" of ")
    return True if cut in ("true", count) else None


def _windows(header: str, count: int) -> list[int | None]:
    """`3` of one text, `2=3, 5=4` of several, counted from 1; with `...` behind it where more were to be named."""
    if count == 1 and header.isdecimal():
        return [int(header)]
    found: list[int | None] = [1] * count
    named = [(int(place), int(windows)) for place, windows in re.findall(r"(\d+)=(\d+)", header)]
    for place, windows in named:
        found[place - 1 : place] = [windows]
    if named and header.endswith("..."):
        last = named[-1][0]
        found[last:] = [None] * (count - last)
    return found[:count]
