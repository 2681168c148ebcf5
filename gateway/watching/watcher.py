"""Counts what comes and what is answered, and tells how far it is from the profile of the current version."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.encoding import Text, Tokens
from gateway.loaded_version import LoadedVersion
from gateway.versions import VersionFollower
from gateway.watching.counters import SCORE, SCRIPT, TOKENS, Counts, WatchCounters
from gateway.watching.drift import Drift, Window, shifts
from gateway.watching.gauges import families
from gateway.watching.tally import Tally
from repository.inference import Float32Array
from repository.training_profile import unknown_token_id

logger = logging.getLogger(__name__)

LONGEST_TICK_S = 10.0
TICKS_OF_A_WINDOW = 60
SETTLING_TICKS = 2
"""Of several workers, after a swap: by then each has added what it counted of the version before."""


class Scored(Protocol):
    """What is looked at of a prediction."""

    @property
    def scores(self) -> Float32Array:
        """`[labels]`"""


class Watcher(Collector):
    """Watches the current version's sentences in this worker, and reads what all workers counted."""

    def __init__(
        self,
        versions: VersionFollower,
        counters: WatchCounters,
        window_s: float,
        shared: str | None = None,
        with_students: bool = False,
    ) -> None:
        """Take what tells and counts.

        Args:
            versions: knows the current version.
            counters: those of this process's metrics.
            window_s: length of the window that is compared with the profile.
            shared: the folder through which several workers share their counts; None of a single one.
            with_students: whether students answer, whose scores are not like the model's.
        """
        self._versions = versions
        self._counters = counters
        self._shared = shared
        self._with_students = with_students
        self._window = Window(window_s, self._totals())
        self._tick_s = min(LONGEST_TICK_S, window_s / TICKS_OF_A_WINDOW)
        self._version: LoadedVersion | None = None
        self._tally: Tally | None = None
        self._number: int | None = None
        """The version that the window is of."""
        self._settling = 0

    def note(
        self, version: LoadedVersion, texts: Sequence[Text], tokens: Sequence[Tokens], answers: Sequence[Scored]
    ) -> None:
        """Count the sentences of a request, unless another version than the current one answered them."""
        if version is not self._version or self._tally is None:
            if version is not self._versions.current:
                return
            self._follow()
            self.flush()
            self._version = version
            self._tally = Tally(version.manifest, version.profile, unknown_token_id(version.tokenizer))
        add = self._tally.add
        for text, encoded, answer in zip(texts, tokens, answers, strict=True):
            add(text.first, encoded.ids, answer.scores)

    def flush(self) -> None:
        """Add what this worker has counted to the metrics."""
        if self._tally is not None:
            self._counters.add(self._tally.taken())

    async def run(self) -> None:
        """Keep the window until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._tick_s)
                try:
                    self.look()
                except Exception:
                    logger.exception("What was watched could not be counted; trying again.")
        finally:
            self.flush()

    def look(self) -> None:
        """Slide the window, or begin it anew for another version."""
        self.flush()
        self._follow()
        if self._settling:
            self._settling -= 1
            self._window.begin(self._totals())
        else:
            self._window.slide(self._totals())

    def _follow(self) -> None:
        current = self._versions.current
        if current is None or current.number == self._number:
            return
        self.flush()
        if self._shared and self._number is not None:
            self._settling = SETTLING_TICKS
        elif self._number is not None:  # the first version's window began with the gateway
            self._window.begin(self._totals())
        self._number = current.number

    def drift(self) -> Drift | None:
        """Of the current version, as of now; None while there is none."""
        current = self._versions.current
        if current is None:
            return None
        self._follow()
        if self._settling:
            return Drift(0, 0.0, current.profile is not None)
        self.flush()
        counts = self._window.counts(self._totals())
        sentences = int(sum(counts[SCRIPT].values()))  # each has one, whatever its version answers
        tokens, unknown = sum(counts[TOKENS].values()), counts[TOKENS].get("no", 0.0)
        profile = current.profile
        if profile is None:
            share = unknown / tokens if tokens else None
            return Drift(sentences, self._window.length_s / 60, False, unknown_share=share)
        expected = Tally(current.manifest, profile, None).expected(profile)
        if self._with_students and current.manifest.cascade is not None:
            del expected[SCORE]
        return Drift(
            sentences,
            self._window.length_s / 60,
            True,
            shifts(expected, counts),
            unknown / tokens if tokens else None,
            profile.unknown_token_share,
        )

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads beside the counters."""
        return families(self.drift())

    def _totals(self) -> Counts:
        return self._counters.totals(self._shared)
