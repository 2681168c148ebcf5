"""With which status does a command end, and how does it say why? The same of every command, and in one line."""

from typing import NoReturn

import typer

from repository.console import Console

FAILED = 1
"""It could not be done, or what was looked at is not good enough."""
USER_MISTAKE = 2
"""Something that the user gave can't be used."""
INTERRUPTED = 130
"""By Ctrl-C, or by a SIGTERM that is taken as one: 128 + SIGINT, as shells count."""


def fail(reason: object, status: int = USER_MISTAKE) -> NoReturn:
    """Say on stderr what is wrong and end the command.

    Raises:
        typer.Exit: always.
    """
    Console(stderr=True).error(reason)
    raise typer.Exit(status) from None


def one_line(error: Exception) -> str:
    """What an error says; that of a library may have several lines."""
    return " ".join(str(error).split())
