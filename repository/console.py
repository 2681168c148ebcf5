"""How do the commands print? Through these consoles alone, in which data is neither markup nor a terminal's control."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from repository.names import visible

# Columns of a terminal: where a name would push what is beside it off the screen, and where any cell would.
WIDEST_NAME = 48
WIDEST_CELL = 200


Cell = str | Text
"""What is printed: a string as it is, or what `styled` and `lines` make of strings."""


def shortened(text: str, widest: int = WIDEST_NAME) -> str:
    """A text on one line, cut past `widest` columns of a terminal."""
    shown = Text(visible(text))
    shown.truncate(widest, overflow="ellipsis")
    return shown.plain


def styled(text: str, style: str) -> Cell:
    """A text in a style, to be printed or put into a table."""
    return Text(visible(text), style=style)


def lines(*texts: str) -> Cell:
    """A cell of several lines, each as long as it is."""
    return Text("\n").join(Text(visible(text)) for text in texts)


class Table(RichTable):
    """A table of data: a string is one line of text, cut where it is too wide."""

    def add_column(self, header: Cell = "", *options: Any, **named: Any) -> None:  # type: ignore[override]
        """Add a column under a name."""
        super().add_column(shortened(header) if isinstance(header, str) else header, *options, **named)

    def add_row(self, *cells: Cell, **options: Any) -> None:  # type: ignore[override]
        """Add a row; other than strings, `styled` texts and `lines` are shown as they are."""
        super().add_row(*(shortened(cell, WIDEST_CELL) if isinstance(cell, str) else cell for cell in cells), **options)


class Console:
    """One of the two streams; every string that is printed is one line, shown as it is."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> None:
        self._rich = _PlainConsole(stderr=stderr, file=file, width=width, highlight=False)

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._rich.width

    @property
    def is_terminal(self) -> bool:
        """Whether somebody may be watching."""
        return self._rich.is_terminal

    def print(self, *parts: Cell) -> None:
        """Print one line, however long; a blank between its parts."""
        self._rich.print(*parts, soft_wrap=True)

    def error(self, reason: object) -> None:
        """Print one line that says what is wrong."""
        self.print(styled("Error:", "red"), str(reason))

    def table(self, *tables: Table) -> None:
        """Print tables, as wide as the terminal allows."""
        self._rich.print(*tables)

    def page(self, text: str) -> None:
        """Print a text of several lines: a report, the end of a log."""
        for line in text.rstrip("\n").split("\n"):
            self.print(line)

    def json(self, text: str) -> None:
        """Print JSON for another program; what a terminal would act on is escaped as JSON does it."""
        for line in text.split("\n"):
            shown = line if self._rich.shown(line) == line else "".join(map(self._json_character, line))
            self._rich.file.write(shown + "\n")

    def _json_character(self, character: str) -> str:
        if self._rich.shown(character) == character:
            return character
        units = memoryview(character.encode("utf-16-le", "surrogatepass")).cast("H")
        return "".join(f"\\u{unit:04x}" for unit in units)

    @contextmanager
    def doing(self, step: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done until it is done, where somebody watches; yields what changes the line."""
        with Status(self._on_one_row(step), console=self._rich) as status:
            yield lambda line: status.update(self._on_one_row(line))

    @contextmanager
    def progress(
        self, step: str, total: int | None, *, remaining: bool = False, transient: bool = False
    ) -> Iterator[Callable[..., None]]:
        """Show a bar; yields what moves it on by an amount, under a new description if one is given.

        Args:
            step: description at first.
            total: the amount at the end; None where nobody knows it.
            remaining: show the time that is left in place of the time that has passed.
            transient: nothing is left of the bar when it is done, and nothing is shown where nobody watches.
        """
        time = TimeRemainingColumn() if remaining else TimeElapsedColumn()
        disabled = transient and not self.is_terminal
        bar = Progress(_StepColumn(), BarColumn(), time, console=self._rich, transient=transient, disable=disabled)
        with bar:
            task = bar.add_task(step, total=total)
            yield lambda amount, step=None: bar.update(task, advance=amount, description=step)
            bar.update(task, completed=total)

    def _on_one_row(self, line: str) -> Text:
        return Text(shortened(line, self.width - 4))  # the spinner is before it


class _PlainConsole(RichConsole):
    """Strings of lines, cells, headers, titles and captions become text here, and nowhere else."""

    def shown(self, text: str) -> str:
        # What the stream's encoding lacks is escaped too: a long run must not end by a name that cannot be written.
        return visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(self.shown(text), **{**options, "markup": False, "emoji": False})


class _StepColumn(ProgressColumn):
    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        return Text(f"{shortened(task.description):<32}")
