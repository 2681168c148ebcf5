"""A table of results, for the screen, for Markdown and for HTML."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from repository.console import Table

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
        lines = [f"## {self.title}", "", _markdown_row(self.columns), _markdown_row(["---"] * len(self.columns))]
        lines += map(_markdown_row, self.rows)
        return "\n".join([*lines, "", *([self.note, ""] if self.note else [])])

    def to_html(self) -> str:
        """A heading, the table and the note."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<h2>{html.escape(self.title)}</h2><table><tr>{head}</tr>{body}</table>{note}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
