"""Where do the coroutines of the synchronous client run? On an event loop in one thread of its own.

So both clients are the same code, a call can be given up at any moment, and threads may share a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from text_classifier_client.errors import ClosedError

Result = TypeVar("Result")
CLOSED = "The client was closed."


class LoopThread:
    """A running event loop; it ends with `stop`, or with the program."""

    def __init__(self, at_end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Args:
            at_end: run on the loop before it ends.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop, at_end), name="text-classifier-client", daemon=True
        )
        self._thread.start()

    def submit(self, call: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin a call; `result_of` waits for it."""
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError:
            call.close()
            raise ClosedError(CLOSED) from None

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Do a call and wait for what it comes to. Ctrl-C gives it up."""
        return result_of(self.submit(call))

    def stop(self) -> None:
        """End the loop and all that still runs on it, and wait for that."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not threading.current_thread():
            self._thread.join()


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


def _serve(loop: asyncio.AbstractEventLoop, at_end: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(at_end())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
