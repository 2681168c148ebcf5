"""How do texts of the code become Markdown? Cells of a table, with what would be markup there made harmless."""

import re
from collections.abc import Iterable, Sequence

from repository.shipped import ROOT

GENERATED = "<!-- Written by `make reference` from the code: change it there. -->\n"
_CODE = re.compile(r"(`[^`]*`)")


def plain(text: str) -> str:
    """One paragraph: lines joined, and what HTML or Markdown would take for markup escaped, but for `code`."""
    parts = _CODE.split(" ".join(text.replace(f"{ROOT}/", "").split()))
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def paragraphs(text: str) -> str:
    """The same for a docstring: what an empty line divides stays divided."""
    return "\n\n".join(plain(part) for part in text.strip().split("\n\n"))


def code(text: object) -> str:
    """A value as code; nothing for an empty one."""
    shown = str(text).replace(f"{ROOT}/", "").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell is escaped, also within code."""
    lines = [_row(header), "|" + "---|" * len(header)]
    lines += [_row([cell.replace("\\|", "|").replace("|", "\\|") for cell in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def _escaped(text: str) -> str:
    return re.sub(r"([*_<\[\]])", r"\\\1", text)
