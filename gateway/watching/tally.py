"""What is counted of one version's sentences in this process: plain numbers, to be added to the metrics later.

A counter of Prometheus takes a lock and, of several workers, writes to a file: six of them a sentence would cost more
than tokenizing it. These are lists of numbers, emptied into the counters now and then.
"""

from collections import Counter
from collections.abc import Sequence

from gateway.watching.counters import LABEL, LENGTH, SCORE, SCRIPT, TOKENS, UNKNOWN, Counts
from repository.inference import Float32Array
from repository.manifest import Manifest, ProblemType
from repository.scripts import script_of
from repository.training_profile import (
    LENGTH_EDGES,
    SCORE_EDGES,
    TrainingProfile,
    best_label,
    bin_of,
    named_labels,
)

NONE, SOME = "none", "some"
"""Bins of sentences by their unknown tokens."""


class Tally:
    """Counts of sentences that one version answered."""

    def __init__(self, manifest: Manifest, profile: TrainingProfile | None, unknown_id: int | None) -> None:
        """Take what bins are made of.

        Args:
            manifest: of the version.
            profile: of the version, if it has one.
            unknown_id: the token id of what the vocabulary does not know; None if it knows every byte.
        """
        self._manifest = manifest
        self._unknown_id = unknown_id
        self._names = named_labels(manifest.labels, None if profile is None else profile.labels)
        is_regression = manifest.problem_type is ProblemType.REGRESSION
        self._score_edges: Sequence[float] = SCORE_EDGES if profile is None else profile.score_edges
        self._length_edges: Sequence[int] = LENGTH_EDGES if profile is None else profile.length_edges
        self.score_bins = _shares(len(self._score_edges) + 1) if is_regression else _upto(self._score_edges, "1")
        self.length_bins = _upto(self._length_edges, "+Inf")
        self._has_scores = not is_regression or profile is not None
        self._plain = manifest.problem_type is ProblemType.SINGLE_LABEL
        self._clear()

    def _clear(self) -> None:
        self._labels: Counter[str] = Counter()
        self._scores = [0] * len(self.score_bins)
        self._lengths = [0] * len(self.length_bins)
        self._scripts: Counter[str] = Counter()
        self._sentences = self._with_unknown = self._tokens = self._unknown_tokens = 0

    def add(self, text: str, ids: list[int], scores: Float32Array) -> None:
        """Count one sentence.

        Args:
            text: as it was asked, or the first of a pair.
            ids: its tokens, cut at the model's limit.
            scores: `[labels]`
        """
        best = int(scores.argmax())
        score = float(scores[best])
        # The usual kind of model is spared the call.
        label = self._names[best] if self._plain else self._label(best, score)
        if label is not None:
            self._labels[label] += 1
        if self._has_scores:
            self._scores[bin_of(self._score_edges, score)] += 1
        self._lengths[bin_of(self._length_edges, len(ids))] += 1
        self._scripts[script_of(text)] += 1
        self._sentences += 1
        self._tokens += len(ids)
        if self._unknown_id is not None and (unknown := ids.count(self._unknown_id)):
            self._with_unknown += 1
            self._unknown_tokens += unknown

    def _label(self, best: int, score: float) -> str | None:
        manifest = self._manifest
        return best_label(self._names, manifest.problem_type, best, score)

    def taken(self) -> Counts:
        """What was counted since this was last called, without empty bins."""
        if not self._sentences:
            return {}
        some, unknown = self._with_unknown, self._unknown_tokens
        counts: dict[str, dict[str, float]] = {
            LABEL: dict(self._labels),
            SCORE: dict(zip(self.score_bins, self._scores, strict=True)),
            LENGTH: dict(zip(self.length_bins, self._lengths, strict=True)),
            SCRIPT: dict(self._scripts),
            UNKNOWN: {NONE: self._sentences - some, SOME: some},
            TOKENS: {"yes": self._tokens - unknown, "no": unknown},
        }
        self._clear()
        return {aspect: {name: count for name, count in bins.items() if count} for aspect, bins in counts.items()}

    def expected(self, profile: TrainingProfile) -> dict[str, dict[str, float]]:
        """The profile's counts in the bins of this tally, by what can be compared."""
        labels: Counter[str] = Counter()
        names = dict(zip(self._manifest.labels, self._names, strict=True))
        for label, count in profile.labels.items():
            labels[names.get(label, label)] += count
        found: dict[str, dict[str, float]] = {
            LABEL: dict(labels),
            SCORE: dict(zip(self.score_bins, profile.scores, strict=True)),
            LENGTH: dict(zip(self.length_bins, profile.lengths, strict=True)),
            SCRIPT: dict(profile.scripts),
            UNKNOWN: {NONE: profile.texts - profile.with_unknown, SOME: profile.with_unknown},
        }
        if not labels:  # of a regression
            del found[LABEL]
        return found


def _upto(edges: Sequence[float], last: str) -> list[str]:
    return [*(f"{edge:g}" for edge in edges), last]


def _shares(bins: int) -> list[str]:
    return [f"{100 * (place + 1) / bins:.3g}%" for place in range(bins)]
