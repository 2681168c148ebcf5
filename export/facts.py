"""Names beside values, as the commands show what they found."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text


def facts_table(facts: Mapping[str, str]) -> Table:
    """One line for each name; values are shown as they are, without markup."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return table
