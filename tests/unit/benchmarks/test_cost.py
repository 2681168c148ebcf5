"""A million classifications cost the price of the time that they take, in the words in which the price was given."""

import pytest

from benchmarks.measure.gateway import Comparison
from benchmarks.report.cost import COLUMN, Price, with_cost
from benchmarks.report.render import comparison_table
from benchmarks.report.tables import ResultTable


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0.36", "0.36"), ("$0.36", "$0.36"), (" 0.36 € ", "0.36 €"), ("EUR 36", "EUR 36"), (".5", "0.5")],
)
def test_a_price_is_told_in_the_words_in_which_it_was_given(text: str, shown: str) -> None:
    assert str(Price.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "free", "0", "$0.00", "-1", "1,50 €", "1.2.3", "1 2"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no price"):
        Price.parse(text)


def test_a_machine_that_does_a_million_in_an_hour_costs_its_price_for_it() -> None:
    assert Price(0.4).of_a_million(1_000_000 / 3600) == pytest.approx(0.4)
    assert Price(0.4).of_a_million(2_000_000 / 3600) == pytest.approx(0.2)


def test_the_slowest_round_is_the_dearest() -> None:
    assert Price.parse("$3.6").cell([500.0, 1000.0, 2000.0]) == "$1 (0.5 … 2)"
    assert Price.parse("$3.6").cell([1000.0]) == "$1"
    assert Price.parse("$3.6").cell([]) == ""


def test_a_table_has_the_column_only_where_a_price_was_given() -> None:
    table = ResultTable("t", ("", "rate"), [["a", "1000/s"], ["b", "not measured"]])
    assert with_cost(table, None, [[1000.0], []]) is table
    priced = with_cost(table, Price.parse("3.6 €"), [[1000.0], []])
    assert list(priced.columns) == ["", "rate", COLUMN]
    assert [row[-1] for row in priced.rows] == ["1 €", ""]
    assert "3.6 € an hour" in priced.note


def test_only_what_a_model_classified_has_a_cost() -> None:
    answered = Comparison("GET", "/s", "", pairs=[(1000.0, 1200.0)])
    lone = Comparison("p50", "ms", "", pairs=[(5.0, 4.0)], difference=True, classifies=False)
    rows = comparison_table([answered, lone], Price.parse("$3.6")).rows
    assert [row[-1] for row in rows] == ["$1", ""]
