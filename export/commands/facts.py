"""Names beside values, as the commands show what they found."""

from collections.abc import Mapping, Sequence

from repository.console import Table, lines


def facts_table(facts: Mapping[str, str | Sequence[str]]) -> Table:
    """One line for each name, or several where a value has several."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, lines(*([value] if isinstance(value, str) else value)))
    return table
