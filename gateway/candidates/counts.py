"""What does this process count in the trial that runs? For its tally, which all gateways add up, and for Prometheus."""

from datetime import UTC, datetime
from secrets import token_hex

from gateway.candidates.comparison import Compared
from gateway.metrics import ModelMetrics
from repository.candidates.tally import LONGEST_SENTENCE, Change, Tally


class Counts:
    """The tally of one process, begun anew for each pair of versions that are compared."""

    def __init__(self, metrics: ModelMetrics, keeps_sentences: bool) -> None:
        """Sentences are kept only where they may be logged, too."""
        self.process = token_hex(8)
        self.tally: Tally | None = None
        self._metrics = metrics
        self._keeps_sentences = keeps_sentences

    def of(self, version: int, against: int) -> Tally:
        """The tally of this pair."""
        if self.tally is None or (self.tally.version, self.tally.against) != (version, against):
            failure = self.tally.failure if self.tally is not None and self.tally.version == version else None
            self.tally = Tally(version=version, against=against, process=self.process, failure=failure)
        return self.tally

    def copy(self) -> Tally | None:
        """The tally as it is now, to be written by another thread; None if nothing was counted."""
        tally = self.tally
        if tally is None or not (
            tally.overall.compared or tally.errors or tally.dropped or tally.answered or tally.failure
        ):
            return None
        return tally.model_copy(deep=True, update={"updated_at": datetime.now(UTC)})

    def compared(self, tally: Tally, sentence: str, script: str, found: Compared) -> None:
        """Both versions answered a sentence."""
        self._metrics.mirrored("compared").inc()
        tally.compare(found.label, script, found.agrees, found.is_confident_change, found.shift)
        if self._keeps_sentences and not found.agrees:
            change = Change(
                sentence=sentence[:LONGEST_SENTENCE],
                current_label=found.label,
                current_score=found.score,
                label=found.other_label,
                score=found.other_score,
                difference=abs(found.shift),
            )
            tally.keep(change)

    def failed(self, tally: Tally) -> None:
        """The candidate did not answer a sentence that the current version answers."""
        self._metrics.mirrored("failed").inc()
        tally.errors += 1

    def dropped(self, tally: Tally, sentences: int = 1) -> None:
        """Sentences were sampled, but not asked."""
        self._metrics.mirrored("dropped").inc(sentences)
        tally.dropped += sentences

    def answered(self, tally: Tally, sentences: int) -> None:
        """The candidate answered a request for real."""
        self._metrics.canary("candidate").inc(sentences)
        tally.answered += sentences

    def fell_back(self, sentences: int) -> None:
        """The current version answered a request that was the candidate's."""
        self._metrics.canary("current").inc(sentences)
