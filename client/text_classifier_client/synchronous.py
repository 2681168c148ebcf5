"""How does a program without asyncio ask? By `Client`."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from text_classifier_client.answers import Answer
from text_classifier_client.batching import Batch, batches
from text_classifier_client.client_loop import CLOSED, ClientLoop, result_of
from text_classifier_client.columns import column_of
from text_classifier_client.config import DEFAULT_URL, Config, Settings
from text_classifier_client.core import Asked, Core, Outcome
from text_classifier_client.errors import ClosedError, TextError
from text_classifier_client.feedback import feedback_fields
from text_classifier_client.options import Options
from text_classifier_client.texts import Pair, Text, refuse_odd

Many = list[str] | list[Pair] | list[str | Pair] | tuple[str | Pair, ...]


class Client:
    """Asks the gateway at `base_url`. Threads may share one; it is closed by `close()` or by a `with` block.

    A forked process may go on with it: it opens connections of its own there.
    """

    def __init__(self, base_url: str = DEFAULT_URL, **settings: Unpack[Settings]) -> None:
        """
        Args:
            base_url: address of the gateway, with the path that it is under if there is one.
            settings: see `Settings`.

        Raises:
            ValueError, TypeError: one of them cannot be used.
        """
        self._config = Config(base_url=base_url, **settings)
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._pid = os.getpid()
        self._is_closed = False

    @overload
    def classify(
        self,
        texts: Text,
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Answer: ...

    @overload
    def classify(
        self,
        texts: Many,
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> list[Answer]: ...

    @overload
    def classify(
        self,
        texts: Iterator[str] | Iterator[Pair],
        *,
        on_error: Literal["raise"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Answer]: ...

    @overload
    def classify(
        self, texts: Text, *, on_error: Literal["return"], deadline: float | None = None, **options: Unpack[Options]
    ) -> Answer | TextError: ...

    @overload
    def classify(
        self, texts: Many, *, on_error: Literal["return"], deadline: float | None = None, **options: Unpack[Options]
    ) -> list[Answer | TextError]: ...

    @overload
    def classify(
        self,
        texts: Iterator[str] | Iterator[Pair],
        *,
        on_error: Literal["return"],
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Answer | TextError]: ...

    def classify(self, texts: Any, *, on_error: str = "raise", deadline: float | None = None, **options: Any) -> Any:
        """Classify a text, a list or tuple of texts, or whatever else gives texts when it is iterated over.

        Args:
            texts: a text (or `Pair`) gets an `Answer`; a list or tuple gets a list, in order; anything else, such as a
                generator or an open file, an iterator that reads on as its answers are taken, and holds a few batches
                at a time.
            on_error: "return" gives the TextError of a text that cannot be classified in its place; else it is raised.
            deadline: seconds for the call, retries included; of an iterator for each of its batches.
            options: see `Options`.

        Raises:
            TextError: a text cannot be classified; its `index` says which.
            ClassifierError: the server could not be asked, or does not answer what was asked.
            TypeError, ValueError: what was given can't be asked.
        """
        core, loop = self._started()
        asked = core.asked(on_error, deadline, options)
        if isinstance(texts, str | Pair):
            return loop.run(core.one(texts, asked))
        if isinstance(texts, list | tuple):
            return loop.run(core.all(texts, asked))
        refuse_odd(texts)
        return self._stream(iter(texts), asked)

    def classify_column(
        self,
        column: Any,
        *,
        labels: bool = False,
        on_error: Literal["raise", "return"] = "raise",
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Any:
        """Classify a column of a table.

        Args:
            column: a pandas or Polars Series, or a pyarrow Array or ChunkedArray.
            labels: add the columns `labels` and `scores`, lists of all labels that were answered, best first.
            on_error: "return" puts what is wrong with a text into a column `error`; else it is raised.
            deadline: seconds for the whole column.
            options: see `Options`.

        Returns:
            A DataFrame or Table of the same library, as long as the column and with its index: `label`, `score` and
            `version`. Where the column is null, they are.
        """
        found = column_of(column)
        core, loop = self._started()
        asked = core.asked(on_error, deadline, options)
        with found.places_told():
            outcomes = loop.run(core.all(found.texts, asked))
        return found.table(outcomes, labels=labels, errors=on_error == "return")

    def feedback(
        self,
        answer: Answer,
        label: str | None = None,
        *,
        labels: Iterable[str] | None = None,
        value: float | None = None,
        deadline: float | None = None,
    ) -> None:
        """Tell the server what would have been the right answer, where it takes feedback.

        Args:
            answer: as it was given.
            label: the right one.
            labels: all right ones, of a multi-label model.
            value: the right number, of a regression.
            deadline: seconds for the call.
        """
        core, loop = self._started()
        loop.run(core.feedback(feedback_fields(answer, label, labels, value), deadline))

    def close(self) -> None:
        """Give up what is under way, close all connections and end the client's thread, if it has one."""
        self._is_closed = True
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> Self:
        """The client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _started(self) -> tuple[Core, ClientLoop]:
        if self._pid != os.getpid():  # a forked process has no threads of its parent, one of which may hold the lock
            self._lock, self._running, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._is_closed:
                raise ClosedError(CLOSED)
            if self._running is None:
                self._running = _Running(self._config)
                weakref.finalize(self, self._running.stop)
            return self._running.core, self._running.loop

    def _stream(self, texts: Iterator[object], asked: Asked) -> Iterator[Outcome]:
        """Reads texts on the caller's thread: what they come from may be bound to it."""
        core, loop = self._started()
        source = batches(texts, core.cutter(asked))
        pending: deque[Future[list[Outcome]]] = deque()
        is_over, failure = False, None
        try:
            while True:
                while not is_over and len(pending) < core.window and not (pending and pending[0].done()):
                    batch, failure = _next(source)
                    is_over = batch is None
                    if batch is not None:
                        pending.append(loop.submit(core.batch(batch, asked)))
                if not pending:
                    break
                yield from result_of(pending.popleft())
            if failure is not None:
                raise failure  # in its place: all that came before it is answered
        finally:
            for each in pending:
                each.cancel()


class _Running:
    """What a client has once it is used: a core and the loop that it runs on."""

    def __init__(self, config: Config) -> None:
        self.pid = os.getpid()
        self.core = Core(config)
        self.loop = ClientLoop(self.core.aclose)

    def stop(self) -> None:
        """Only in the process that started it; a second time does nothing."""
        if self.pid == os.getpid():
            self.loop.stop()


def _next(source: Iterator[Batch]) -> tuple[Batch | None, Exception | None]:
    try:
        return next(source, None), None
    except Exception as error:
        return None, error
