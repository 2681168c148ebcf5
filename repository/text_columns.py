"""Which columns of a table are the text where none is named, and how do several become one text?"""

from collections.abc import Sequence

USUAL_TEXTS = ("text", "sentence")
"""The first of these that a table has."""
MAPS_TEXTS = ("idea_title", "map_title")
"""Of mind maps, where an idea is a row."""


def joined_text(parts: Sequence[str]) -> str:
    """Return the text of a row as it is trained on and served: its columns joined by a space, white space folded.

    A text that is one column keeps its line breaks, as its callers will send them.
    """
    if len(parts) == 1:
        return parts[0].strip()
    return " ".join(" ".join(parts).split())
