"""How are answers printed: as lines to be read, as JSON Lines or as CSV?"""

import csv
import io
import json
import os
from typing import Any, Protocol

from repository.names import visible
from text_classifier.classify.reading import Row
from text_classifier_client import Answer, TextError

STDOUT = 1
_KEPT_LINES = 256


class Printer(Protocol):
    """Makes text of a row and its answer."""

    def printed(self, row: Row, outcome: Answer | TextError | None) -> str:
        """Lines with their ends; None is the outcome of a row without a text."""


class Output:
    """Standard output, without Python's buffer: what is printed stays printed, and a closed pipe fails only once."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._lines: list[str] = []

    def add(self, row: Row, outcome: Answer | TextError | None) -> None:
        """Print one, now or soon. Raises BrokenPipeError where nobody reads any more."""
        self._lines.append(self._printer.printed(row, outcome))
        if len(self._lines) >= _KEPT_LINES:
            self.flush()

    def flush(self) -> None:
        """Print what waits."""
        content = "".join(self._lines).encode("utf-8", "backslashreplace")
        self._lines.clear()
        while content:
            content = content[os.write(STDOUT, content) :]


class Plain:
    """Label, score and text, with a tab between them; several labels and scores with a bar between them."""

    def printed(self, row: Row, outcome: Answer | TextError | None) -> str:
        """One line."""
        labels = outcome.labels if isinstance(outcome, Answer) else ()
        names = "|".join(each.label for each in labels)
        scores = "|".join(f"{each.score:.4f}" for each in labels)
        return "\t".join(visible(part.replace("\t", " ")) for part in (names, scores, row.text)) + "\n"


class JsonLines:
    """The row's own fields, and what was answered beside them."""

    def __init__(self, ascii_only: bool) -> None:
        """
        Args:
            ascii_only: escape all that a terminal might act on.
        """
        self._ascii_only = ascii_only

    def printed(self, row: Row, outcome: Answer | TextError | None) -> str:
        """One line."""
        found: dict[str, Any] = {**row.fields, "label": None, "score": None}
        if isinstance(outcome, Answer):
            found |= {
                "label": outcome.label,
                "score": outcome.score,
                "labels": [{"label": each.label, "score": each.score} for each in outcome.labels],
                "model_version": outcome.version,
                "request_id": outcome.request_id,
            }
            if outcome.receipt is not None:
                found["receipt"] = outcome.receipt
        elif outcome is not None:
            found["error"] = outcome.says
        return json.dumps(found, ensure_ascii=self._ascii_only) + "\n"


class Csv:
    """The row's own columns, then `label`, `score` and `model_version`; several labels with a bar between them."""

    def __init__(self, on_terminal: bool) -> None:
        """
        Args:
            on_terminal: show what a terminal would act on, in place of sending it there.
        """
        self._on_terminal = on_terminal
        self._header: list[str] | None = None

    def printed(self, row: Row, outcome: Answer | TextError | None) -> str:
        """One record, which may have several lines; the header before the first."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        if self._header is None:
            self._header = list(row.fields)
            writer.writerow([*map(self._shown, self._header), "label", "score", "model_version"])
        labels = outcome.labels if isinstance(outcome, Answer) else ()
        version = outcome.version if isinstance(outcome, Answer) else None
        answered = ["|".join(each.label for each in labels), "|".join(f"{each.score:.6g}" for each in labels)]
        own = [row.fields.get(name) for name in self._header]
        writer.writerow([*map(self._shown, own), *map(self._shown, answered), "" if version is None else version])
        return lines.getvalue()

    def _shown(self, value: Any) -> str:
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        return visible(text) if self._on_terminal else text
