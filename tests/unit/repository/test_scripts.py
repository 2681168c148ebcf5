"""A text's script is that of its letters, whatever stands between them."""

import unicodedata

import pytest

from repository.scripts import LATIN, NONE, OTHER, SCRIPTS, script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Mapa aprende un nuevo lenguaje", LATIN),
        ("Stühle, ½ Tisch", LATIN),
        ("Tiếng Việt", LATIN),
        ("как дела в Berlin", "Cyrillic"),
        ("ελλάδα", "Greek"),
        ("مرحبا 123", "Arabic"),
        ("नमस्ते", "Devanagari"),
        ("สวัสดี", "Thai"),
        ("שלום", "Hebrew"),
        ("漢字", "Han"),
        ("学习数学 abc", "Han"),
        ("ｆｕｌｌ", LATIN),
        ("東京へ行く", "Kana"),
        ("한국어 텍스트", "Hangul"),
        ("გამარჯობა", "Georgian"),
        ("ᚠᚢᚦ", OTHER),
        ("12 : 34 €", NONE),
        ("😀🎉", NONE),
        ("", NONE),
        ("1" * 500 + " é", LATIN),
        ("e\u0301te\u0301", LATIN),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script: str) -> None:
    assert script_of(text) == script
    assert script in SCRIPTS


def test_the_table_agrees_with_the_names_that_unicode_gives_its_letters() -> None:
    """A letter's name begins with its script's: "CYRILLIC SMALL LETTER A"."""
    names = {"Han": "CJK", "Kana": ("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "CJK")}
    strangers = []
    for code in range(0x41, 0x30000):
        letter = chr(code)
        if unicodedata.category(letter)[0] != "L" or (script := script_of(letter)) in (OTHER, NONE):
            continue
        expected = names.get(script, script.upper())
        name = unicodedata.name(letter, "")
        if not name.startswith(expected) and "FULLWIDTH LATIN" not in name:
            strangers.append((script, name))
    # Blocks hold a few letters of others: MODIFIER LETTER ..., MICRO SIGN, HALFWIDTH HANGUL, COPTIC in the Greek block.
    assert len(strangers) < 200, strangers[:40]
