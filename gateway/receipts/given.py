"""What was given to be checked? Receipts, alone or in the answers that they came in, and the texts that were asked."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.classifier import unquote
from gateway.encoding import Text
from gateway.receipts.errors import NoReceiptError
from gateway.schemas import TextsBody
from repository.manifest import first_mistake

STDIN = "-"
MOST_BYTES = 67_108_864


class Given(NamedTuple):
    """One receipt."""

    receipt: str
    answer: Any
    """What stood beside it, to be compared with what it was made for."""
    has_answer: bool


def receipts_in(argument: str) -> list[Given]:
    """The receipts of a file, of standard input (`-`) or in the argument itself.

    A file holds an answer with its receipt, a list of such answers, or receipts, one a line.

    Raises:
        NoReceiptError: there is none.
    """
    if argument.startswith("eyJ") and argument.partition("~")[0].count(".") == 2:
        return [Given(argument, None, False)]
    text = _read(argument).strip()
    if text[:1] in ("{", "["):
        return _in_json(text, argument)
    found = [Given(line.strip(), None, False) for line in text.splitlines() if line.strip()]
    if not found:
        raise NoReceiptError(f"{_called(argument)} holds no receipt")
    return found


def texts_in(argument: str) -> list[Text]:
    """The texts of a file: one a line, or the body that was sent to POST /classify.

    Raises:
        NoReceiptError: it cannot be read, or is no such body.
    """
    content = _read(argument)
    if not content.lstrip().startswith("{"):
        return [classified(line.removesuffix("\r")) for line in content.split("\n") if line.strip()]
    try:
        body = json.loads(content)
        fields = {name: body[name] for name in TextsBody.model_fields if name in body}
        return [classified(*parts) for parts in TextsBody(**fields).texts()]
    except ValidationError as error:
        raise NoReceiptError(f"{_called(argument)} is no body of POST /classify: {first_mistake(error)}") from None
    except (ValueError, RecursionError):
        raise NoReceiptError(f"{_called(argument)} is no JSON") from None


def classified(first: str, second: str | None = None) -> Text:
    """A text as the gateway classifies it: without a pair of quotes around the whole."""
    return Text(unquote(first), None if second is None else unquote(second))


def _in_json(text: str, argument: str) -> list[Given]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise NoReceiptError(f"{_called(argument)} is no JSON") from None
    listed: Sequence[Any] = content if isinstance(content, list) else [content]
    found = [
        Given(each["receipt"], each.get("answer"), "answer" in each)
        for each in listed
        if isinstance(each, dict) and isinstance(each.get("receipt"), str)
    ]
    if not found or len(found) != len(listed):
        raise NoReceiptError(f"{_called(argument)} has an answer without a receipt: ask with receipt=true")
    return found


def _read(argument: str) -> str:
    try:
        if argument == STDIN:
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(argument).open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NoReceiptError(f"{_called(argument)} cannot be read: {reason}") from None
    if len(content) > MOST_BYTES:
        raise NoReceiptError(f"{_called(argument)} is longer than {MOST_BYTES // 1_048_576} MB: check it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoReceiptError(f"{_called(argument)} is no text in UTF-8") from None


def _called(argument: str) -> str:
    return "standard input" if argument == STDIN else argument[:200]
