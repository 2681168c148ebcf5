"""In which script is a text written, as far as its first letters tell? Fast enough to be asked of every sentence.

The ranges are those of Unicode's blocks (Blocks.txt of Unicode 15) that hold a script's letters; scripts with few users
on the web are `Other`. A language detector would say more, and cost a hundred times as much a sentence.
"""

import unicodedata
from bisect import bisect_right

LATIN, OTHER, NONE = "Latin", "Other", "None"
"""`None` is a text without a letter, such as a number."""

_FIRST_LETTERS = 32
"""Characters that are looked at: a text that changes its script later on is counted by its beginning."""

# First code point, last code point, script.
_RANGES = (
    (0x0041, 0x024F, LATIN),
    (0x0250, 0x02AF, LATIN),
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0530, 0x058F, "Armenian"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"),
    (0x0750, 0x077F, "Arabic"),
    (0x0870, 0x08FF, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Gurmukhi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B00, 0x0B7F, "Oriya"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0C80, 0x0CFF, "Kannada"),
    (0x0D00, 0x0D7F, "Malayalam"),
    (0x0D80, 0x0DFF, "Sinhala"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x0E80, 0x0EFF, "Lao"),
    (0x0F00, 0x0FFF, "Tibetan"),
    (0x1000, 0x109F, "Myanmar"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Hangul"),
    (0x1200, 0x139F, "Ethiopic"),
    (0x1780, 0x17FF, "Khmer"),
    (0x1C90, 0x1CBF, "Georgian"),
    (0x1E00, 0x1EFF, LATIN),
    (0x1F00, 0x1FFF, "Greek"),
    (0x2C60, 0x2C7F, LATIN),
    (0x3040, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hangul"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x9FFF, "Han"),
    (0xA720, 0xA7FF, LATIN),
    (0xAC00, 0xD7FF, "Hangul"),
    (0xF900, 0xFAFF, "Han"),
    (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFF, "Arabic"),
    (0xFF21, 0xFF5A, LATIN),
    (0xFF66, 0xFF9F, "Kana"),
    (0x20000, 0x323AF, "Han"),
)
_STARTS = [first for first, _, _ in _RANGES]

SCRIPTS = (*dict.fromkeys(script for _, _, script in _RANGES), OTHER, NONE)
"""Every answer of `script_of`."""


def letters_of(*scripts: str) -> str:
    """The letters of these scripts as ranges of a regular expression's class, to be put into brackets."""
    return "".join(f"{chr(first)}-{chr(last)}" for first, last, script in _RANGES if script in scripts)


def script_of(text: str) -> str:
    """The script of most of the first letters of a text; of two with as many, always the same one.

    Kana among Han makes a text `Kana`: that is Japanese, whichever of the two is more.
    """
    if text.isascii():
        return LATIN if any(map(str.isalpha, text[:_FIRST_LETTERS])) or any(map(str.isalpha, text)) else NONE
    scripts = [_known[character] for character in text[:_FIRST_LETTERS]]
    found = set(scripts)
    found.discard(NONE)
    if len(found) == 1:
        return found.pop()
    if not found:
        rest = text[_FIRST_LETTERS:]
        return script_of(rest) if rest else NONE
    return "Kana" if found >= {"Kana", "Han"} else max(found, key=lambda script: (scripts.count(script), script))


class _Known(dict[str, str]):
    """The script of each character that was asked for; a lookup costs a fifth of a call."""

    def __missing__(self, character: str) -> str:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        script = self[character] = _script_of_character(character)
        return script


_MOST_KNOWN = 8192
_known = _Known()


def _script_of_character(character: str) -> str:
    """`None` for what is no letter; combining marks count with the letters of their block."""
    kind = unicodedata.category(character)[0]
    if kind not in "LM":
        return NONE
    code = ord(character)
    place = bisect_right(_STARTS, code) - 1
    if place >= 0 and code <= _RANGES[place][1]:
        return _RANGES[place][2]
    return NONE if kind == "M" else OTHER
