"""Which commands are there, under which name for those who installed the package, and where is each defined?"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer.main

PROGRAM = "text-classifier"


@dataclass(frozen=True)
class Program:
    """A command line, or some commands of one, under one heading.

    Attributes:
        name: as it is typed after the program's name; "" for commands that stand there by themselves.
        checkout: what does the same in a checkout.
        app: module and name of the Typer application.
        commands: which of its commands; all if empty.
        shown: what the command itself is called where that is not its own name.
    """

    name: str
    checkout: str
    app: str
    commands: tuple[str, ...] = ()
    shown: str | None = None


PROGRAMS = (
    Program("", "python -m training", "training.__main__:app", ("train", "inspect", "evaluate", "track")),
    Program("", "python -m export", "export.__main__:app", ("export",)),
    Program("version", "python -m export", "export.__main__:app", ("inspect", "diff")),
    Program("", "python -m repository", "repository.__main__:app", ("publish",)),
    Program("repository", "python -m repository", "repository.__main__:app"),
    Program("", "python -m launcher", "launcher.__main__:app", shown="serve"),
    Program("", "python -m launcher.pipeline", "launcher.pipeline:app", shown="pipeline"),
    Program("", "python -m launcher.gate", "launcher.gate:app", shown="gate"),
    Program("", "python -m gateway", "gateway.__main__:cli", shown="gateway"),
    Program("triton", "python -m server", "server.__main__:app"),
    Program("", "python -m gateway.batch", "gateway.batch.__main__:cli", shown="score"),
    Program("bench", "python -m benchmarks", "benchmarks.__main__:app"),
)


@dataclass(frozen=True)
class Command:
    """One command that can be typed.

    Attributes:
        words: its name for those who installed the package, without the program's.
        checkout: what does the same in a checkout.
        click: Typer's command: its help, its parameters.
    """

    words: tuple[str, ...]
    checkout: str
    click: Any

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join((PROGRAM, *self.words))


def all_commands() -> Iterator[Command]:
    """Every command, in the order of PROGRAMS; imports the packages that define them, but not PyTorch."""
    for program in PROGRAMS:
        yield from _commands(program)


def _commands(program: Program) -> Iterator[Command]:
    module, _, name = program.app.partition(":")
    root = typer.main.get_command(getattr(import_module(module), name))
    above = (program.name,) if program.name else ()
    commands: dict[str, Any] = getattr(root, "commands", {})
    if not commands:
        yield Command((program.shown or program.name,), program.checkout, root)
        return
    if getattr(root, "invoke_without_command", False):
        yield Command(above, program.checkout, root)
    for chosen in program.commands or commands:
        yield Command((*above, chosen), f"{program.checkout} {chosen}", commands[chosen])
