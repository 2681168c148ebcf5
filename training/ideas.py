"""An idea is one row of the data: a sentence, its label and the map it was taken from."""

from dataclasses import dataclass

from repository.names import refused_label, visible


class DataError(ValueError):
    """The data can't be trained on; the message is one sentence for the person who made the file."""


@dataclass(frozen=True)
class Idea:
    """One training example."""

    map_id: str
    map_title: str
    """White space folded; may be empty."""
    sentence: str
    """`idea_title + " " + map_title`, white space folded: what a client sends to `/classify`."""
    label: str
    language: str | None
    """As the optional column `language` names it; None where the file has none."""


def read_label(text: str) -> str:
    """Return a class's name with each run of blanks as one, and none at the ends.

    Raises:
        DataError: it holds a line break or a control character, or nothing of it can be seen.
    """
    label = text.strip()
    if label and (reason := refused_label(label)):
        raise DataError(f"the class '{visible(label)}' {reason}; rename it.")
    return fold_white_space(label)


def fold_white_space(text: str) -> str:
    """Return `text` with each run of white space (line breaks too) as one space and none at the ends."""
    return " ".join(text.split())
