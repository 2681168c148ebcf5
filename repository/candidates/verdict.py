"""Is a candidate to be promoted or rejected, by what was counted? Once, after as many sentences as its rule says.

A bound that is looked at again and again is passed by chance sooner or later; so agreement and latency are looked at
when enough sentences have been compared, and not before. Failures and errors need no statistics: they end a trial.
"""

from dataclasses import dataclass

from repository.candidates.tally import Tally
from repository.candidates.trial import Outcome, Rule

LEAST_TIMED = 20
"""Of fewer timed sentences, the median of the ratios says nothing."""


@dataclass(frozen=True)
class Verdict:
    """How a trial ends, and why, as the end of a sentence that begins with the version."""

    outcome: Outcome
    reason: str


def verdict(rule: Rule | None, tally: Tally) -> Verdict | None:
    """The end of a trial; None while it goes on."""
    if tally.failure is not None:
        return Verdict("rejected", tally.failure)
    if rule is None:
        return None
    if tally.errors > rule.errors:
        return Verdict("rejected", f"it failed on {tally.errors} sentences; {rule.errors} are allowed")
    if tally.overall.compared < rule.after or tally.timed < LEAST_TIMED:
        return None
    ratio = tally.latency_ratio or 0.0
    found = described(tally)
    if tally.overall.lower < rule.agreement:
        return Verdict("rejected", f"{found}; the lower bound has to reach {rule.agreement:.2%}")
    if ratio > rule.latency_ratio:
        return Verdict("rejected", f"{found}; at most {rule.latency_ratio:g} times is allowed")
    return Verdict("promoted", f"by its rule: {found}")


def described(tally: Tally) -> str:
    """What was counted, in one line."""
    overall, ratio = tally.overall, tally.latency_ratio
    if overall.share is None:
        return "no sentence was compared"
    parts = [
        f"its answers agree on {overall.share:.2%} of {overall.compared} sentences (lower bound {overall.lower:.2%})",
        f"{overall.confident_changes} confident changes",
        f"{tally.errors} errors",
    ]
    if ratio is not None:
        parts.append(f"it takes {ratio:.2f} times as long")
    return ", ".join(parts)
