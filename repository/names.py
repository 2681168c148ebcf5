"""Which names can be used, and how is any text from outside shown on one line of a terminal or a log?"""

from __future__ import annotations  # server/preflight.py tells old Pythons that they are too old

import re
import unicodedata

MODEL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$"
"""What a model may be called: its name is a folder, a part of keys in S3 and of Triton's addresses."""

# Triton keeps versions as 64-bit numbers.
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_LONGEST_FILE_NAME_BYTES = 255

# Controls, format characters (bidi, zero-width, soft hyphen), lone surrogates, line and paragraph separators.
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# They turn the direction of what is written beside them.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and symbols of which nothing is seen: Hangul's fillers, Braille without a dot, an empty note head.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159")


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


def is_model_name(name: str) -> bool:
    """Whether a model may have this name."""
    return re.fullmatch(MODEL_NAME, name) is not None


def is_version_name(name: str) -> bool:
    """Whether Triton takes a folder of this name for a version."""
    return _VERSION.fullmatch(name) is not None


def is_file_name(name: str) -> bool:
    """Whether a file of a version may have this name: it stays in its folder, is not hidden and can be written."""
    return (
        not name.startswith(".")
        and not {"/", "\\"} & set(name)
        and visible(name) == name
        and 0 < len(name.encode(errors="replace")) <= _LONGEST_FILE_NAME_BYTES
    )


def refused_label(label: str) -> str | None:
    """Why a classifier's label cannot be used, as the end of a sentence that begins with its name; None if it can.

    A label is shown in logs, tables and pages, and stands in JSON for programs: it is one line of which one sees
    something. Joiners and the like inside of it are left alone: some scripts need them.
    """
    for character in label:
        category = unicodedata.category(character)
        if character in "\n\r\x0b\x0c\x85" or category in ("Zl", "Zp"):
            return "holds a line break"
        if category in ("Cc", "Cs"):
            return f"holds a control character, U+{ord(character):04X}"
        if character in _DIRECTIONS:
            return f"holds U+{ord(character):04X}, which changes the direction of the text around it"
    if not any(_is_seen(character) for character in label):
        return "has no visible character"
    return None


def _is_seen(character: str) -> bool:
    return (
        unicodedata.category(character)[0] not in "ZM" and visible(character) == character and character not in _BLANKS
    )
