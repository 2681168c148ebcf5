"""How does a program with asyncio ask? By `AsyncClient`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from text_classifier_client.answers import Answer
from text_classifier_client.columns import column_of
from text_classifier_client.config import DEFAULT_URL, Config, Settings
from text_classifier_client.core import Core
from text_classifier_client.errors import TextError
from text_classifier_client.feedback import feedback_fields
from text_classifier_client.options import Options
from text_classifier_client.texts import Pair, Text

Many = list[str] | list[Pair] | list[str | Pair] | tuple[str | Pair, ...]
Stream = Iterator[str] | Iterator[Pair] | AsyncIterable[str] | AsyncIterable[Pair]


class AsyncClient:
    """Asks the gateway at `base_url`, on one event loop; closed by `aclose()` or by an `async with` block.

    Arguments and answers are those of `Client`.
    """

    def __init__(self, base_url: str = DEFAULT_URL, **settings: Unpack[Settings]) -> None:
        """Takes what `Client` takes."""
        self._core = Core(Config(base_url=base_url, **settings))

    @overload
    def classify(
        self,
        texts: Text,
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Coroutine[Any, Any, Answer]: ...

    @overload
    def classify(
        self,
        texts: Many,
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Coroutine[Any, Any, list[Answer]]: ...

    @overload
    def classify(
        self,
        texts: Stream,
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> AsyncIterator[Answer]: ...

    @overload
    def classify(
        self, texts: Text, *, on_error: Literal["return"], deadline: float | None = None, **options: Unpack[Options]
    ) -> Coroutine[Any, Any, Answer | TextError]: ...

    @overload
    def classify(
        self, texts: Many, *, on_error: Literal["return"], deadline: float | None = None, **options: Unpack[Options]
    ) -> Coroutine[Any, Any, list[Answer | TextError]]: ...

    @overload
    def classify(
        self, texts: Stream, *, on_error: Literal["return"], deadline: float | None = None, **options: Unpack[Options]
    ) -> AsyncIterator[Answer | TextError]: ...

    def classify(self, texts: Any, *, on_error: str = "raise", deadline: float | None = None, **options: Any) -> Any:
        """The same as `Client.classify`: to be awaited for a text, list or tuple, else to be iterated over.

        Texts of an async iterator that come slowly are not kept waiting for a whole batch.
        """
        asked = self._core.asked(on_error, deadline, options)
        if isinstance(texts, str | Pair):
            return self._core.one(texts, asked)
        if isinstance(texts, list | tuple):
            return self._core.all(texts, asked)
        return self._core.stream(texts, asked)

    async def classify_column(
        self,
        column: Any,
        *,
        labels: bool = False,
        on_error: Literal["raise", "return"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Any:
        """The same as `Client.classify_column`."""
        found = column_of(column)
        with found.places_told():
            outcomes = await self._core.all(found.texts, self._core.asked(on_error, deadline, options))
        return found.table(outcomes, labels=labels, errors=on_error == "return")

    async def feedback(
        self,
        answer: Answer,
        label: str | None = None,
        *,
        labels: Iterable[str] | None = None,
        value: float | None = None,
        deadline: float | None = None,
    ) -> None:
        """The same as `Client.feedback`."""
        await self._core.feedback(feedback_fields(answer, label, labels, value), deadline)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._core.aclose()

    async def __aenter__(self) -> Self:
        """The client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()
