"""A trial ends by a failure at once, by its rule when enough is counted, and never without either."""

import pytest

from repository.candidates.tally import Agreement, Tally
from repository.candidates.trial import Rule
from repository.candidates.verdict import LEAST_TIMED, verdict

RULE = Rule(after=1000, agreement=0.98, latency_ratio=1.5, errors=0)


def counted(compared: int, agreed: int, ratio: float = 1.0, timed: int = 250, **more: object) -> Tally:
    found = Tally(version=2, against=1, overall=Agreement(compared=compared, agreed=agreed))
    for _ in range(timed):
        found.time(ratio, 1.0)
    return found.model_copy(update=more)


@pytest.mark.parametrize(
    ("tally", "outcome", "reason"),
    [
        (counted(1000, 990), "promoted", "by its rule: its answers agree on 99.00% of 1000 sentences"),
        (counted(1000, 985), "rejected", "lower bound 97.70%"),
        (counted(1000, 990, ratio=1.6), "rejected", "it takes 1.60 times as long; at most 1.5 times is allowed"),
        (counted(3, 3, errors=1), "rejected", "it failed on 1 sentences; 0 are allowed"),
        (counted(0, 0, failure="it gave NaN"), "rejected", "it gave NaN"),
    ],
)
def test_a_rule_decides_once_enough_is_counted(tally: Tally, outcome: str, reason: str) -> None:
    found = verdict(RULE, tally)
    assert found is not None
    assert found.outcome == outcome
    assert reason in found.reason


@pytest.mark.parametrize("tally", [counted(999, 1), counted(1000, 990, timed=LEAST_TIMED - 1)])
def test_too_few_sentences_decide_nothing(tally: Tally) -> None:
    assert verdict(RULE, tally) is None


def test_without_a_rule_nothing_but_a_failure_decides() -> None:
    assert verdict(None, counted(10**6, 0, errors=9)) is None
    failed = verdict(None, counted(0, 0, failure="it gave NaN"))
    assert failed is not None
    assert failed.outcome == "rejected"
