"""The pages of docs/reference are those that the code gives."""

import pytest

from launcher.reference.__main__ import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_does(name: str) -> None:
    text = PAGES[name]()
    assert text == PAGES[name](), "the same code gives the same text"
    assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `make reference`"
