"""What was counted of a candidate's answers beside the current version's? Counts that add up over workers and gateways.

Nothing in them tells a sentence, but for `changes`, which are kept where sentences may be logged.
"""

import math
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from repository.binomial import upper_bound
from repository.candidates.trial import Summary

MOST_GROUPS = 200
"""Labels, and scripts, that are counted apart; what comes later is counted as OTHERS."""
OTHERS = "others"
MOST_CHANGES = 20
LONGEST_SENTENCE = 500
"""Characters of a sentence that are kept, where any may be."""

STEP = 0.01
"""Width, as a logarithm, of what is counted as one ratio of latencies: a hundredth."""
FARTHEST = 400
"""Steps to either side of 1: a ratio of 55."""


class _Counts(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class Agreement(_Counts):
    """Of sentences that both answered."""

    compared: int = 0
    agreed: int = 0
    confident_changes: int = Field(0, description="Other answers where the current version was not near a tie.")

    @property
    def share(self) -> float | None:
        """Of equal answers; None without any sentence."""
        return self.agreed / self.compared if self.compared else None

    @property
    def lower(self) -> float:
        """The one-sided 95 % lower bound of the share (Clopper-Pearson)."""
        return 1 - upper_bound(self.compared - self.agreed, self.compared)

    @property
    def upper(self) -> float:
        """The one-sided 95 % upper bound of the share (Clopper-Pearson)."""
        return upper_bound(self.agreed, self.compared)

    def add(self, agrees: bool, is_confident: bool) -> None:
        """Count one sentence."""
        self.compared += 1
        self.agreed += agrees
        self.confident_changes += is_confident

    def add_all(self, other: "Agreement") -> None:
        """Count what another has counted."""
        self.compared += other.compared
        self.agreed += other.agreed
        self.confident_changes += other.confident_changes


class Change(_Counts):
    """A sentence that the two answer otherwise."""

    sentence: str
    current_label: str
    current_score: float
    label: str
    score: float
    difference: float = Field(description="By how much the score of the current version's label differs.")


class Tally(_Counts):
    """What one gateway process has counted in one trial, or several together."""

    version: int
    against: int = Field(description="The version that was current.")
    process: str = Field("", description="Which gateway process has counted; empty in a sum.")
    updated_at: datetime | None = None
    overall: Agreement = Field(default_factory=Agreement)
    by_label: dict[str, Agreement] = Field({}, description="By the current version's label.")
    by_script: dict[str, Agreement] = Field({}, description="By the script of the sentence's first letters.")
    score_shift: float = Field(0, description="Sum of what the score of the current version's label changes by.")
    seconds: float = Field(0, description="What the timed sentences took the candidate, each alone.")
    current_seconds: float = Field(0, description="The same of the current version.")
    timed: int = 0
    ratios: dict[int, int] = Field({}, description="How often each ratio of the two came, as a step on a log scale.")
    errors: int = Field(0, description="Sentences that the current version answers and the candidate does not.")
    dropped: int = Field(0, description="Sampled sentences that were not asked: there was no time for them.")
    answered: int = Field(0, description="Sentences that the candidate answered for real.")
    failure: str | None = Field(None, description="Why the candidate may not answer any more.")
    changes: list[Change] = []

    def compare(self, label: str, script: str, agrees: bool, is_confident: bool, shift: float) -> None:
        """Count one sentence that both answered."""
        for counts in (self.overall, _group(self.by_label, label), _group(self.by_script, script)):
            counts.add(agrees, is_confident)
        self.score_shift += shift

    def keep(self, change: Change) -> None:
        """Keep a sentence, as long as few have changed more."""
        self.changes = _farthest([*self.changes, change])

    def time(self, seconds: float, current_seconds: float) -> None:
        """Count what one sentence took either."""
        if seconds <= 0 or current_seconds <= 0:
            return  # a clock that stood still
        step = max(-FARTHEST, min(FARTHEST, round(math.log(seconds / current_seconds) / STEP)))
        self.ratios[step] = self.ratios.get(step, 0) + 1
        self.seconds += seconds
        self.current_seconds += current_seconds
        self.timed += 1

    @property
    def latency_ratio(self) -> float | None:
        """The median of the ratios, which one hiccup does not move; None without any."""
        passed = 0
        for step in sorted(self.ratios):
            passed += self.ratios[step]
            if 2 * passed >= self.timed:
                return math.exp(step * STEP)
        return None

    @property
    def mean_shift(self) -> float | None:
        """How the score of the current version's label differs in the mean; None without any sentence."""
        return self.score_shift / self.overall.compared if self.overall.compared else None

    def summary(self) -> Summary:
        """What is remembered of it when the trial ends."""
        return Summary(
            compared=self.overall.compared,
            agreement=self.overall.share,
            agreement_lower=self.overall.lower,
            confident_changes=self.overall.confident_changes,
            latency_ratio=self.latency_ratio,
            errors=self.errors,
        )


def total(version: int, against: int, tallies: Iterable[Tally]) -> Tally:
    """The sum of those tallies that compare these two versions; their failures are all of this candidate."""
    found = Tally(version=version, against=against)
    for tally in tallies:
        if tally.version != version:
            continue
        found.failure = found.failure or tally.failure
        if tally.against == against:
            _add(found, tally)
    return found


def _add(found: Tally, tally: Tally) -> None:
    found.overall.add_all(tally.overall)
    for groups, others in ((found.by_label, tally.by_label), (found.by_script, tally.by_script)):
        for name, counts in others.items():
            _group(groups, name).add_all(counts)
    for step, count in tally.ratios.items():
        found.ratios[step] = found.ratios.get(step, 0) + count
    for name in ("score_shift", "seconds", "current_seconds", "timed", "errors", "dropped", "answered"):
        setattr(found, name, getattr(found, name) + getattr(tally, name))
    found.changes = _farthest([*found.changes, *tally.changes])


def _farthest(changes: list[Change]) -> list[Change]:
    """The changes that are largest, each sentence once."""
    known = {change.sentence: change for change in changes}
    return sorted(known.values(), key=lambda change: -change.difference)[:MOST_CHANGES]


def _group(groups: dict[str, Agreement], name: str) -> Agreement:
    if name not in groups and len(groups) >= MOST_GROUPS:
        name = OTHERS
    return groups.setdefault(name, Agreement())
