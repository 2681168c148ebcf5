"""An example is one row of the data: a text, what the model is to answer for it, and the group it belongs to."""

from dataclasses import dataclass

from repository.names import refused_label, visible

# In characters: what is longer is no name, and would fill every table, log line and page that names it.
LONGEST_LABEL = 1000

Target = str | tuple[str, ...] | float
"""One label; several, sorted, or none; the number of a regression."""


class DataError(ValueError):
    """The data can't be trained on; the message is one sentence for the person who made the file."""


@dataclass(frozen=True)
class Example:
    """One training example."""

    text: str
    """What a client sends to `/classify`."""
    target: Target
    group: str
    """Examples of one group, such as the ideas of a mind map, are never in two splits."""
    group_title: str = ""
    """The part of the text that the whole group shares; may be empty."""
    language: str | None = None
    """None where the data does not say."""
    row: int = 0
    """In its file, as errors name it."""

    @property
    def own_text(self) -> str:
        """The text without its group's title."""
        return self.text.removesuffix(self.group_title).rstrip() if self.group_title else self.text

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are true; of a regression none."""
        return labels_of(self.target)


def labels_of(target: Target) -> tuple[str, ...]:
    """The labels of a target; of a number none."""
    return (target,) if isinstance(target, str) else target if isinstance(target, tuple) else ()


def read_label(text: str) -> str:
    """Return a label with each run of blanks as one, and none at the ends.

    Raises:
        DataError: it holds a line break or a control character, nothing of it can be seen, or it is a whole text.
    """
    label = text.strip()
    if len(label) > LONGEST_LABEL:
        raise DataError(
            f"a label of {len(label)} characters, '{visible(label[:40])} ...'; at most {LONGEST_LABEL} can be one: is "
            "this the column of a text?"
        )
    if label and (reason := refused_label(label)):
        raise DataError(f"the label '{visible(label)}' {reason}; rename it.")
    return fold_white_space(label)


def fold_white_space(text: str) -> str:
    """Return `text` with each run of white space (line breaks too) as one space and none at the ends."""
    return " ".join(text.split())
