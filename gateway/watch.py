"""Does the student keep its promise on live sentences? Past doubt it does not, and the bar rises.

Sampled sentences, whoever answered them, are counted one by one: the student answered and the model disagrees, or not.
The promise is that this happens to at most delta of all sentences. A confidence bound that is looked at after each
sentence is passed by chance sooner or later, so the count is a bet in its place: a stake that grows with each
disagreement and shrinks with each other sentence, so that it cannot grow on average while the promise is kept. The
chance that it is ever worth 20 times the first stake is then at most 1 in 20 (Ville's inequality). The bet is a mixture
of likelihood ratios, a sequential test in the way of Wald (1945) and Robbins (1970).
"""

import math

from repository.binomial import CONFIDENCE, lower_bound, upper_bound
from repository.cascade import Cascade

MULTIPLES = (1.5, 2.0, 3.0, 5.0, 10.0)
"""Of delta: the shares of disagreement that the bet is on, in equal parts."""

WORTH = 1 / (1 - CONFIDENCE)

WINDOW_DISAGREEMENTS = 20
"""A count ends after as many sentences as hold so many of them at delta: else a good year would hide a bad day."""


class Watch:
    """The bar of one version, and what was counted at it. A version's bars rise and never fall again."""

    def __init__(self, cascade: Cascade) -> None:
        self.delta = cascade.delta
        self.audited = 0
        self.disagreed = 0
        self.raised = 0
        """How many times the bar has risen."""
        self._bars = [bar.bar for bar in cascade.bars]
        self._window = math.ceil(WINDOW_DISAGREEMENTS / self.delta)
        shares = [min(multiple * self.delta, (1 + self.delta) / 2) for multiple in MULTIPLES]
        self._gains = [math.log(share / self.delta) for share in shares]
        self._losses = [math.log1p(-share) - math.log1p(-self.delta) for share in shares]

    @property
    def bar(self) -> float | None:
        """The confidence from which on the student answers; None: it answers nothing any more."""
        return self._bars[self.raised] if self.raised < len(self._bars) else None

    def note(self, disagrees: bool) -> bool:
        """Count one sampled sentence; returns whether the bar has risen by it."""
        if self.audited >= self._window:
            self.audited = self.disagreed = 0
        self.audited += 1
        self.disagreed += disagrees
        if not disagrees or self._stake() < WORTH or self.bar is None:
            return False
        self.raised += 1
        self.audited = self.disagreed = 0
        return True

    def observed(self) -> tuple[float, float, float]:
        """Share of disagreements in this count, and its one-sided bounds below and above, each by itself."""
        share = self.disagreed / self.audited if self.audited else 0.0
        return share, lower_bound(self.disagreed, self.audited), upper_bound(self.disagreed, self.audited)

    def _stake(self) -> float:
        others = self.audited - self.disagreed
        bets = zip(self._gains, self._losses, strict=True)
        return sum(math.exp(self.disagreed * gain + others * loss) for gain, loss in bets) / len(MULTIPLES)
