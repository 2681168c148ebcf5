"""The README is short, what it links is there, and so is what the guides link among themselves."""

import re
from pathlib import Path

import pytest

from tests.places import ROOT

README = ROOT / "README.md"
MOST_LINES = 120
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(#[^)]*)?\)")
GUIDES = sorted(path for folder in ("get-started", "guides") for path in (ROOT / "docs" / folder).glob("*.md"))


def linked(page: Path) -> list[Path]:
    """Files that a page links, as paths."""
    return [(page.parent / found[1]).resolve() for found in LINK.finditer(page.read_text(encoding="utf-8"))]


def test_the_readme_is_read_in_one_go() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_what_the_readme_links_is_there() -> None:
    found = linked(README)
    assert len(found) > 15
    assert [path for path in found if not path.exists()] == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_is_listed_where_guides_are_listed(page: Path) -> None:
    index = page.with_name("index.md")
    assert page == index or page in linked(index)


def test_each_row_of_what_others_do_not_do_says_where_to_read_on() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.partition("## What it does that others don't\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| **")]
    assert len(rows) >= 8
    assert all(LINK.search(row) for row in rows)
