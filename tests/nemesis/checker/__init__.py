"""Reads a history and says what in it breaks a promise: each rule sees every entry once, in order, and keeps little."""

from collections.abc import Iterable

from tests.nemesis.checker.answers import Answers
from tests.nemesis.checker.commands import Commands
from tests.nemesis.checker.failures import Failures
from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.order import Order
from tests.nemesis.checker.pins import Pins
from tests.nemesis.checker.rest import Rest
from tests.nemesis.checker.rules import Rule, Violation
from tests.nemesis.contents import Own
from tests.nemesis.history import Entry

__all__ = ["Checker", "Violation", "check"]


class Checker:
    """All rules."""

    def __init__(self, own: Own) -> None:
        self.faults = Faults()
        self._rules: list[Rule] = [
            Answers(own, self.faults),
            Order(self.faults),
            Pins(self.faults),
            Failures(self.faults),
            Commands(self.faults),
            Rest(),
        ]

    def take(self, entry: Entry) -> None:
        """See the next entry."""
        self.faults.take(entry)
        for rule in self._rules:
            rule.take(entry)

    def finish(self) -> list[Violation]:
        """What was found, in the order of time; the last entry was seen."""
        for rule in self._rules:
            rule.finish()
        return sorted((found for rule in self._rules for found in rule.violations), key=lambda each: each.at)

    def count(self) -> int:
        """How many there are so far; of each rule the first ones alone are kept."""
        return sum(rule.count for rule in self._rules)


def check(own: Own, entries: Iterable[Entry]) -> list[Violation]:
    """The violations in a whole history."""
    checker = Checker(own)
    for entry in entries:
        checker.take(entry)
    return checker.finish()
