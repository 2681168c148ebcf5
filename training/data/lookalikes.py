"""Names that nobody can tell apart: by invisible characters, capitals, or letters that look like another script's."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

# Letters that look the same in most typefaces, each before the Latin one.
_CYRILLIC = "АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT УY ХX ԚQ ԜW ҮY аa еe сc һh іi јj оo рp ѕs ԁd ԛq ԝw уy хx үy"
_GREEK = "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX οo νv ϳj"
_OTHERS = "ՕO ՍU ՏS օo սu ոn հh զq ıi ȷj ɡg"
# One dash, one apostrophe and one quotation mark for all of them.
_SIGNS = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "'": "\u2018\u2019\u201b\u02bc\u2032\u00b4`",
    '"': "\u201c\u201d\u201e\u201f",
}
_TWINS = {
    **{ord(pair[0]): pair[1] for pair in f"{_CYRILLIC} {_GREEK} {_OTHERS}".split()},
    **{ord(sign): plain for plain, signs in _SIGNS.items() for sign in signs},
}
# Without a picture though they are letters, marks or symbols: joiners, fillers, variation selectors, the empty Braille.
_EMPTY = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}


def _is_unseen(character: str) -> bool:
    return character in _EMPTY or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs")


class _Without(dict[int, int | None]):
    """A table for `str.translate` that takes out what a test finds; it remembers the characters it was asked."""

    def __init__(self, is_taken_out: Callable[[str], bool]) -> None:
        self._is_taken_out = is_taken_out

    def __missing__(self, code: int) -> int | None:
        self[code] = None if self._is_taken_out(chr(code)) else code
        return self[code]


_WITHOUT_UNSEEN = _Without(_is_unseen)
_WITHOUT_SIGNS = _Without(lambda character: unicodedata.category(character)[0] in "PS")


def seen(text: str) -> str:
    """Return what the eye keeps of a text, capitals and all: letters as they look, nothing that is invisible."""
    shown = unicodedata.normalize("NFKC", text.translate(_TWINS)).translate(_TWINS)
    return shown.translate(_WITHOUT_UNSEEN)


def alike(text: str) -> str:
    """Return the same for all texts that look like `text` or differ from it in capitals alone."""
    return unicodedata.normalize("NFC", seen(text).casefold())


def alike_title(text: str) -> str:
    """Return the same for titles that are `alike` but for punctuation; of a title of signs alone, all of them."""
    key = alike(text)
    return key.translate(_WITHOUT_SIGNS) or key


def spelled_out(text: str) -> str:
    """Return `text` with each character that is invisible, or looks like another, as its number."""
    return "".join(
        ascii(character)[1:-1]
        if character != " " and (_is_unseen(character) or not character.isprintable() or ord(character) in _TWINS)
        else character
        for character in text
    )


def groups_alike(names: Iterable[str]) -> list[list[str]]:
    """Return the names that look alike, group by group, each sorted; those that stand alone are left out."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[alike(name) or name].add(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)
