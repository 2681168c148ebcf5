"""What does a million classifications cost? The price of the machine for the time that they take on it."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.report.tables import ResultTable

COLUMN = "cost of a million"
MILLION = 1_000_000
SECONDS_IN_AN_HOUR = 3600

# A number with or without a decimal point, and whatever a currency is called before or after it.
_PRICE = re.compile(r"(?P<before>[^\d.,-]*)(?P<amount>\d+(?:\.\d+)?|\.\d+)(?P<after>[^\d.,-]*)")


@dataclass(frozen=True)
class Price:
    """What the machine costs an hour, in the words in which it was given."""

    per_hour: float
    before: str = ""
    """Of the amount: a currency, with the blank after it."""
    after: str = ""

    @classmethod
    def parse(cls, text: str) -> "Price":
        """Read `0.53`, `$0.53`, `0.53 €` or `EUR 0.53`. Raises ValueError: there is not one positive number in it."""
        found = _PRICE.fullmatch(text.strip())
        if found is None or not float(found["amount"]) > 0:
            raise ValueError(f"{text!r} is no price: give one number with a decimal point, such as $0.53 or 0.53 €")
        return cls(float(found["amount"]), found["before"], found["after"])

    def __str__(self) -> str:
        return self.shown(self.per_hour)

    def of_a_million(self, per_second: float) -> float:
        """What a million classifications cost at a rate of `per_second`: 10⁶ / rate seconds, of 3600 an hour."""
        return MILLION / per_second / SECONDS_IN_AN_HOUR * self.per_hour

    def cell(self, rates: Sequence[float]) -> str:
        """The cost at the median of rates in sentences a second, and what it is at the fastest and the slowest."""
        rates = [rate for rate in rates if rate > 0]
        if not rates:
            return ""
        middle = self.shown(self.of_a_million(statistics.median(rates)))
        if len(rates) == 1:
            return middle
        return f"{middle} ({self.of_a_million(max(rates)):.3g} … {self.of_a_million(min(rates)):.3g})"

    def shown(self, amount: float) -> str:
        """An amount, with the currency where it was given."""
        return f"{self.before}{amount:.3g}{self.after}"


def with_cost(table: ResultTable, price: Price | None, rates: Sequence[Sequence[float]]) -> ResultTable:
    """A table with one more column: the cost of a million classifications at the rates of each row.

    Args:
        table: rows with figures.
        price: of the machine; None: the table stays as it is.
        rates: for each row its sentences a second, one for each round; none for a row without such a figure.
    """
    if price is None:
        return table
    rows = [[*row, price.cell(of_row)] for row, of_row in zip(table.rows, rates, strict=True)]
    note = (
        f"Cost of a million classifications at {price} an hour for the whole machine, busy all the time at the rate of "
        "the row: 10⁶ / rate / 3600 × price, at the median of the rounds (the fastest … the slowest)."
    )
    return replace(table, columns=(*table.columns, COLUMN), rows=rows, note=f"{table.note} {note}".strip())
