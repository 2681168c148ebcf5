"""Where do the coroutines of the synchronous client run? On one event loop, in the thread that calls if it calls alone.

So both clients are the same code, a call can be given up at any moment, and threads may share a client. To hand a call
to another thread and its answer back costs as much as the call: a program that asks one text after the other is spared
that. Once calls come beside each other, or an iterator is read ahead, the loop has a thread of its own from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from text_classifier_client.errors import ClosedError

Result = TypeVar("Result")
CLOSED = "The client was closed."


class ClientLoop:
    """The event loop of one client; it ends with `stop`, or with the program."""

    def __init__(self, at_end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Args:
            at_end: run on the loop before it ends.
        """
        self._loop = asyncio.new_event_loop()
        self._at_end = at_end
        self._lock = threading.Lock()  # of all that follows
        self._runner: int | None = None  # the thread that runs the loop, if any does
        self._own: threading.Thread | None = None
        self._call: asyncio.Task[Any] | None = None  # of the caller who runs the loop
        self._is_wanted = False  # by others than who runs it
        self._is_over = False
        self._ended = threading.Event()

    def submit(self, call: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin a call, which goes on by itself; `result_of` waits for it."""
        with self._lock:
            if self._is_over:
                call.close()
                raise ClosedError(CLOSED)
            future = asyncio.run_coroutine_threadsafe(call, self._loop)
            self._is_wanted = True
            if self._runner is None:
                self._start()
        return future

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Do a call and wait for what it comes to. Ctrl-C gives it up."""
        return self._run_here(call) if self._take() else result_of(self.submit(call))

    def stop(self) -> None:
        """End the loop and all that still runs on it, and wait for that."""
        with self._lock:
            is_first, self._is_over = not self._is_over, True
            is_idle = self._runner is None
            if is_idle:
                self._runner = threading.get_ident()
        if is_first and is_idle:
            self._end_from_outside()
        elif is_first:
            self._loop.call_soon_threadsafe(self._give_up)
        if self._runner != threading.get_ident():
            self._ended.wait()
            if self._own is not None:
                self._own.join()

    def _take(self) -> bool:
        """Whether this thread is the one to run the loop now."""
        if _runs_a_loop():
            return False
        with self._lock:
            if self._runner is not None or self._is_over:
                return False
            self._runner = threading.get_ident()
            return True

    def _run_here(self, call: Coroutine[Any, Any, Result]) -> Result:
        task = self._loop.create_task(call)
        self._call = task
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise ClosedError(CLOSED) from None
        finally:
            if not task.done():  # Ctrl-C
                self._loop.run_until_complete(_cancelled([task]))
            self._call = None
            with self._lock:
                if not self._is_over:
                    self._runner = None
                    if self._is_wanted:
                        self._start()
            if self._runner == threading.get_ident():
                self._end()

    def _start(self) -> None:
        """Let a thread of its own run the loop from now on."""
        self._own = threading.Thread(target=self._serve, name="text-classifier-client", daemon=True)
        self._own.start()
        self._runner = self._own.ident

    def _serve(self) -> None:
        self._loop.run_forever()
        self._end()

    def _give_up(self) -> None:
        """On the loop: whoever runs it is to end it."""
        if self._call is not None:
            self._call.cancel()
        elif self._own is not None:
            self._loop.stop()

    def _end_from_outside(self) -> None:
        if not _runs_a_loop():
            self._end()
            return
        ending = threading.Thread(target=self._end, name="text-classifier-client")
        ending.start()
        ending.join()

    def _end(self) -> None:
        try:
            self._loop.run_until_complete(_cancelled(asyncio.all_tasks(self._loop)))
            self._loop.run_until_complete(self._at_end())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
            self._ended.set()


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def result_of(future: Future[Result]) -> Result:
    """What a call came to.

    Raises:
        ClosedError: the client was closed meanwhile.
    """
    try:
        return future.result()
    except CancelledError:
        raise ClosedError(CLOSED) from None
    except BaseException:
        future.cancel()
        raise


def _runs_a_loop() -> bool:
    """Whether this thread is within an event loop, such as a notebook's, and so can run no other."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False
