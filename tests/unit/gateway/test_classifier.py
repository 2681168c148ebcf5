"""Quotes around a sentence are taken off; quotes that belong to it stay."""

import pytest

from gateway.classifier import unquote


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ('"learn Spanish"', "learn Spanish"),
        ("'learn Spanish'", "learn Spanish"),
        ('  "learn Spanish"\n', "learn Spanish"),
        ('""', ""),
        ('"', '"'),
        ('say "hello"', 'say "hello"'),
        ('"hello" and "goodbye"', '"hello" and "goodbye"'),
        ("'tis the season", "'tis the season"),
        (" plain ", " plain "),
    ],
)
def test_unquote(sentence: str, text: str) -> None:
    assert unquote(sentence) == text
