"""Counts of watched sentences in Prometheus's counters, and their sums over all workers.

They are counts by bin, not Prometheus's histograms: what is held against the version's profile are shares of bins, and
a counter by bin can be added to once a second for many sentences, where a histogram wants a call for each.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.multiprocess import MultiProcessCollector

Counts = dict[str, dict[str, float]]
"""How many sentences (tokens) by aspect and bin."""

LABEL, SCORE, LENGTH, SCRIPT, UNKNOWN, TOKENS = ASPECTS = ("label", "score", "length", "script", "unknown", "tokens")

_FAMILIES = {
    LABEL: ("classifier_answers_by_label", "Sentences that the current version answered, by best label.", "label"),
    SCORE: (
        "classifier_answers_by_score",
        "The same by best score, up to so much; of a regression, up to that share of the profile's answers.",
        "upto",
    ),
    LENGTH: ("classifier_sentences_by_length", "The same by length in tokens, up to so many.", "upto"),
    SCRIPT: ("classifier_sentences_by_script", "The same by the script of the first letters.", "script"),
    UNKNOWN: ("classifier_sentences_by_unknown", "The same by whether some token was unknown.", "unknown"),
    TOKENS: ("classifier_watched_tokens", "Tokens of these sentences, by whether the vocabulary has them.", "known"),
}


class WatchCounters:
    """What is counted of each sentence of one model while `WATCH` is on."""

    def __init__(self, family: Callable[[str, str, Sequence[str]], Counter], model_name: str) -> None:
        """Take what counts.

        Args:
            family: makes, or finds, a counter with a series for each model, from its name, meaning and labels.
            model_name: the model's.
        """
        self._model = model_name
        self._counters = {
            aspect: family(name, meaning, (label,)) for aspect, (name, meaning, label) in _FAMILIES.items()
        }

    def add(self, counts: Mapping[str, Mapping[str, float]]) -> None:
        """Add counts by aspect and bin."""
        for aspect, bins in counts.items():
            for name, count in bins.items():
                self._counters[aspect].labels(self._model, name).inc(count)

    def totals(self, shared: str | None) -> Counts:
        """What was counted since the gateway started.

        Args:
            shared: the folder through which several workers share their counts; None: this process counts alone.
        """
        if shared is None:
            families = [metric for counter in self._counters.values() for metric in counter.collect()]
        else:
            # Of the folder's files those of counters alone: histograms take most of the time of a whole scrape.
            files = [str(path) for path in Path(shared).glob("counter_*.db")]
            families = list(MultiProcessCollector.merge(files, accumulate=True))  # type: ignore[no-untyped-call]
        aspects = {f"{name}_total": (aspect, label) for aspect, (name, _, label) in _FAMILIES.items()}
        found: Counts = {aspect: {} for aspect in _FAMILIES}
        for sample in (sample for family in families for sample in family.samples):
            if sample.name in aspects and sample.labels["model"] == self._model:
                aspect, label = aspects[sample.name]
                bins = found[aspect]
                bins[sample.labels[label]] = bins.get(sample.labels[label], 0.0) + sample.value
        return found
