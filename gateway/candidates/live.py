"""Who answers a request while a candidate is on trial? The current version; of a canary's share the candidate, first.

At the candidate's first failure the current version answers that request, and the candidate answers none any more.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from gateway.candidates.canary import place_of
from gateway.candidates.counts import Counts
from gateway.candidates.shadow import Shadow
from gateway.classifier import Predictions
from gateway.encoding import Text
from gateway.errors import GatewayError, NotReadyError, SentenceTooLongError, VersionGoneError
from gateway.loaded_version import LoadedVersion
from gateway.tokenization import Side

logger = logging.getLogger(__name__)

SHARE_OF_DEADLINE = 0.5
"""What a candidate may take of a request's deadline, so that the current version can still answer."""
PAUSE_S = 5.0
"""How long a candidate that no Triton served is not asked for an answer."""


class LiveTrial:
    """A candidate that is loaded and has answered as it has to; `gateway.classifier` asks by it."""

    def __init__(self, version: LoadedVersion, shadow: Shadow, counts: Counts, deadline_s: float) -> None:
        """Take what is tried.

        Args:
            version: the candidate.
            shadow: is shown what the current version answered.
            counts: is told what became of requests.
            deadline_s: of a request.
        """
        self.version = version
        self.canary = 0.0
        """Share of requests that the candidate answers."""
        self.against = 0
        """The version that is current."""
        self.failure: str | None = None
        """Why it may not answer any more."""
        self._shadow = shadow
        self._counts = counts
        self._deadline_s = deadline_s
        self._not_before = 0.0

    async def predict(
        self,
        texts: Sequence[Text],
        side: Side | None,
        ask: Callable[[LoadedVersion], Awaitable[Predictions]],
        ask_current: Callable[[], Awaitable[Predictions]],
    ) -> Predictions:
        """The answer to a request; its first text says whose it is, so that one version answers all of them.

        Args:
            texts: of the request.
            side: the end that long ones are cut at.
            ask: asks a version.
            ask_current: asks the current one.

        Raises:
            GatewayError, TimeoutError: what the current version's answer raises.
        """
        if not self._is_canary(texts[0]):
            answered = await ask_current()
            if self._shadow.share and self.failure is None:
                self._shadow.mirror(self.version, texts, side, answered)
            return answered
        failure = None
        try:
            async with asyncio.timeout(SHARE_OF_DEADLINE * self._deadline_s):
                answered = await ask(self.version)
            self._counts.answered(self._counts.of(self.version.number, self.against), len(texts))
            return answered
        except (NotReadyError, SentenceTooLongError):
            pass  # Triton is away, or the caller does not want the text cut where the candidate has to
        except VersionGoneError:
            self._not_before = time.monotonic() + PAUSE_S
        except (GatewayError, TimeoutError) as error:
            failure = str(error) or f"no answer within {SHARE_OF_DEADLINE * self._deadline_s:g} seconds"
        answered = await ask_current()
        self._counts.fell_back(len(texts))
        if failure is not None:  # and the current version answers, so that it was not the request's doing
            self.fail(f"it failed to answer a request: {failure}")
        return answered

    def fail(self, reason: str) -> None:
        """It answers nothing any more, here and, once they know of it, in other processes."""
        if self.failure is None:
            logger.error("The candidate, version %d, answers no more: %s", self.version.number, reason)
            self.failure = reason
            tally = self._counts.of(self.version.number, self.against)
            tally.failure = tally.failure or reason

    def _is_canary(self, text: Text) -> bool:
        if not self.canary or self.failure is not None or time.monotonic() < self._not_before:
            return False
        return place_of(text, self.version.number) < self.canary
