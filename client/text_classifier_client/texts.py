"""What may be classified: a text, a pair of texts; and what is said of anything else before a server is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from text_classifier_client.errors import TextError


@dataclass(frozen=True)
class Pair:
    """Two texts that are classified together, for models that were trained on pairs."""

    first: str
    second: str

    def __len__(self) -> int:
        """Characters of both."""
        return len(self.first) + len(self.second)


Text: TypeAlias = str | Pair
"""What gets one answer."""

BLANK = "The text is blank: give it at least one visible character."


def checked(text: object, index: int) -> Text:
    """The text, if it may be asked.

    Args:
        text: what was given.
        index: its place in what was given.

    Raises:
        TypeError: it is no text and no pair.
        TextError: it is nothing but white space, which no server answers.
    """
    if isinstance(text, str):
        if not text or text.isspace():
            raise TextError(BLANK, index)
        return text
    if isinstance(text, Pair):
        if not (isinstance(text.first, str) and isinstance(text.second, str)):
            raise TypeError(f"the pair at index {index} is not of two str")
        if not text.first.strip() and not text.second.strip():
            raise TextError(BLANK, index)
        return text
    kind = type(text).__name__
    if isinstance(text, tuple) and len(text) == 2:
        raise TypeError(
            f"the text at index {index} is a tuple: two texts that belong together are a Pair(first, second)"
        )
    raise TypeError(f"the text at index {index} is {kind}, not str")


def refuse_odd(texts: Any) -> None:
    """Raise TypeError for what could be iterated over, but surely is not meant to be."""
    if isinstance(texts, bytes | bytearray | memoryview):
        raise TypeError("the text is bytes: decode it first, as in text.decode('utf-8')")
    if isinstance(texts, Mapping):
        raise TypeError("the texts are a mapping: give its values, as in list(texts.values())")
    if type(texts).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow"):
        raise TypeError("a column is classified by classify_column(column)")
