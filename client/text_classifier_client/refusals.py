"""What does a refusal mean: a text that cannot be classified, too much at once, or the whole request?"""

from __future__ import annotations

import json
import re

from text_classifier_client.answers import REQUEST_ID
from text_classifier_client.errors import (
    AuthenticationError,
    ClassifierError,
    NotFoundError,
    RequestError,
    ServerError,
    TextError,
    UnavailableError,
)
from text_classifier_client.retrying import PASSING, TOO_SLOW, told_s
from text_classifier_client.wire import Reply

TOO_LONG = 413
OF_TEXTS = (TOO_LONG, 422)
MOST_SAID = 1_000
"""Characters of a refusal that are shown: a proxy's may be a whole page."""

_ONE_OF_SEVERAL = re.compile(r"Sentence (\d+) |body\.(?:sentences|pairs)\.(\d+)\b")
_THE_ONLY = re.compile(r"The (?:sentence|pair) |body\.(?:sentences|pairs)\.0\b")


def says(reply: Reply) -> str:
    """The server's sentence; of something that is no classifier, how its answer begins."""
    try:
        said = json.loads(reply.body)["error"]
        if isinstance(said, str) and said:
            return said[:MOST_SAID]
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    if 300 <= reply.status < 400:
        return f"The server redirects to {reply.headers.get('location', 'nowhere')[:200]}: give that as base_url."
    shown = " ".join(reply.body[:MOST_SAID].decode("utf-8", "replace").split())[:200]
    return f"The answer is: {shown}" if shown else "The answer is empty."


def place_of(reply: Reply, texts: int) -> int | None:
    """Which of a request's texts the server refuses, from 0; None where it is not one of them.

    Args:
        reply: with a status that is no success.
        texts: how many the request has.
    """
    if reply.status not in OF_TEXTS:
        return None
    said = says(reply)
    if texts == 1:
        return 0 if reply.status == TOO_LONG or _THE_ONLY.match(said) else None
    if found := _ONE_OF_SEVERAL.match(said):
        place = int(found[1]) - 1 if found[1] else int(found[2])
        return place if 0 <= place < texts else None
    return None


def is_too_much(reply: Reply, texts: int) -> bool:
    """Whether half of the texts may be answered: the request is too long, or takes longer than the server waits."""
    return texts > 1 and reply.status in (TOO_LONG, TOO_SLOW)


def text_error(reply: Reply, index: int) -> TextError:
    """The error of one text.

    Args:
        reply: refuses it.
        index: its place in what was given.
    """
    said = re.sub(r"^Sentence \d+ ", "The sentence ", says(reply))
    return TextError(said, index, reply.status, reply.headers.get(REQUEST_ID))


def error_of(reply: Reply) -> ClassifierError:
    """The error of a whole request.

    Args:
        reply: refuses it.
    """
    said, status, request_id = says(reply), reply.status, reply.headers.get(REQUEST_ID)
    if status in PASSING:
        return UnavailableError(said, status, request_id, told_s(reply.headers))
    if status in (401, 403):
        return AuthenticationError(said, status, request_id)
    if status == 404:
        return NotFoundError(said, status, request_id)
    if status >= 500 or status < 200:
        return ServerError(said, status, request_id)
    return RequestError(said, status, request_id)
