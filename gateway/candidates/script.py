"""In which script is a sentence? The one that most of its letters are of: a language's, as far as letters tell."""

import unicodedata
from collections import Counter
from functools import lru_cache

LETTERS_READ = 200
NONE = "no letters"
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")


def script_of(text: str) -> str:
    """The script's name in Unicode's words, such as `latin` or `cyrillic`."""
    counted: Counter[str] = Counter()
    for character in text[: 4 * LETTERS_READ]:
        if character.isalpha():
            counted[_script_of_letter(character)] += 1
    return counted.most_common(1)[0][0] if counted else NONE


@lru_cache(maxsize=4096)
def _script_of_letter(letter: str) -> str:
    # Unicode's names begin with the script: LATIN SMALL LETTER A, FULLWIDTH LATIN SMALL LETTER A.
    words = [word for word in unicodedata.name(letter, "unknown").split(" ") if word not in _WIDTHS]
    return words[0].split("-")[0].lower()
