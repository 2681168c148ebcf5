"""How is a name or a text from outside shown on one line of a terminal or a log, whatever it holds?"""

import unicodedata

# Controls, format characters (bidi, zero-width, soft hyphen), lone surrogates, line and paragraph separators.
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` on one line, with each character that would act on the line instead of being seen escaped as in Python.

    A line break becomes `\\n`, ESC `\\x1b`, a change of direction `\\u202e`. Shown twice, a text stays the same.
    """
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _NOT_SHOWN:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
