"""A table of results, for the screen, for Markdown and for HTML."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from repository.console import Table
from repository.names import visible

# What Markdown would read as more than itself.
_MARKS = re.compile(r"[\\`*_\[\]|~]|<(?=[A-Za-z/!?])|&(?=[#\w])")

NOT_MEASURED = "not measured here"


@dataclass(frozen=True)
class ResultTable:
    """Cells are texts already; `note` says what a reader has to know."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    note: str = ""

    def to_rich(self) -> Table:
        """For the screen."""
        table = Table(*self.columns, title=self.title, caption=self.note or None)
        for row in self.rows:
            table.add_row(*row)
        return table

    def to_markdown(self) -> str:
        """A heading, the table and the note."""
        lines = [f"## {visible(self.title)}", "", _markdown_row(self.columns), "|" + " --- |" * len(self.columns)]
        lines += map(_markdown_row, self.rows)
        return "\n".join([*lines, "", *([visible(self.note), ""] if self.note else [])])

    def to_html(self) -> str:
        """A heading, the table and the note."""
        head = "".join(f"<th>{_html(column)}</th>" for column in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        note = f"<p>{_html(self.note)}</p>" if self.note else ""
        return f"<h2>{_html(self.title)}</h2><table><tr>{head}</tr>{body}</table>{note}"


def _html(text: str) -> str:
    return html.escape(visible(text))


def _markdown_row(cells: Sequence[str]) -> str:
    """A row in which no cell is markup."""
    return "| " + " | ".join(re.sub(_MARKS, r"\\\g<0>", visible(cell)) for cell in cells) + " |"
