"""Which texts share a request? As many as the limits allow, in order, sentences and pairs apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from text_classifier_client.errors import TextError
from text_classifier_client.texts import Pair, Text, checked

MOST_CHARACTERS = 500_000
"""Of a request: at most 2 MB in UTF-8, half of what the gateway takes by default."""


@dataclass
class Batch:
    """Texts of one request, and what of its part of the input is no text that can be asked.

    Attributes:
        start: place of its first member in the input.
        texts: those that are asked.
        places: of each of them, in the input.
        refused: members that are not asked, because no server would answer them.
    """

    start: int
    texts: list[Text] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    refused: list[TextError] = field(default_factory=list)
    characters: int = 0

    def __len__(self) -> int:
        """Members, of both kinds."""
        return len(self.texts) + len(self.refused)


class Cutter:
    """Takes text after text and gives a batch whenever one is full."""

    def __init__(self, most_texts: Callable[[], int], raises: bool) -> None:
        """
        Args:
            most_texts: how many a batch may have at present.
            raises: raise TextError for a text that no server would answer, in place of noting it.
        """
        self._most_texts = most_texts
        self._raises = raises
        self._batch = Batch(0)

    @property
    def holds(self) -> bool:
        """Whether texts wait for more."""
        return len(self._batch) > 0

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more."""
        return len(self._batch) >= self._most_texts()

    def add(self, text: object) -> Batch | None:
        """Take one in; returns the texts before it if it does not fit with them.

        Raises:
            TypeError, TextError: it is none.
        """
        index = self._batch.start + len(self._batch)
        try:
            found = checked(text, index)
        except TextError as error:
            if self._raises:
                raise
            self._batch.refused.append(error)
            return None
        full = None if self._fits(found) else self.flush()
        self._batch.texts.append(found)
        self._batch.places.append(index)
        self._batch.characters += len(found)
        return full

    def flush(self) -> Batch:
        """What is there, full or not."""
        full = self._batch
        self._batch = Batch(full.start + len(full))
        return full

    def _fits(self, text: Text) -> bool:
        batch = self._batch
        if not len(batch):
            return True
        if batch.characters + len(text) > MOST_CHARACTERS:
            return False
        return not batch.texts or isinstance(batch.texts[-1], Pair) == isinstance(text, Pair)


def batches(texts: Iterable[object], cutter: Cutter) -> Iterator[Batch]:
    """The texts in batches; takes no more of them than the batch at hand needs.

    Raises:
        TypeError, TextError: one cannot be asked; what came before it is given first.
        Exception: what `texts` raises, likewise.
    """
    try:
        for text in texts:
            if (before := cutter.add(text)) is not None:
                yield before
            if cutter.is_full:
                yield cutter.flush()
    except Exception:
        if cutter.holds:
            yield cutter.flush()
        raise
    if cutter.holds:
        yield cutter.flush()
