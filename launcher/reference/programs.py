"""Which commands are there, under which name for those who installed the package, and where is each defined?"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer.main

from repository.spelling import in_one_command


@dataclass(frozen=True)
class Program:
    """A command line, or some commands of one.

    Attributes:
        checkout: how it is called in a checkout; `repository.spelling` says what is typed once it is installed.
        app: module and name of the Typer application.
        commands: which of its commands, and in which order; all if empty.
    """

    checkout: str
    app: str
    commands: tuple[str, ...] = ()


PROGRAMS = (
    Program("python -m training", "training.__main__:app", ("train", "distill", "inspect", "evaluate", "track")),
    Program("python -m export", "export.__main__:app", ("export", "inspect", "diff", "calibrate", "profile")),
    Program("python -m repository", "repository.__main__:app"),
    Program("python -m launcher", "launcher.__main__:app"),
    Program("python -m launcher.pipeline", "launcher.pipeline:app"),
    Program("python -m launcher.publish", "launcher.publish:app"),
    Program("python -m launcher.gate", "launcher.gate:app"),
    Program("python -m gateway", "gateway.__main__:cli"),
    Program("python -m server", "server.__main__:app"),
    Program("python -m text_classifier.classify", "text_classifier.classify.__main__:cli"),
    Program("python -m gateway.batch", "gateway.batch.__main__:cli"),
    Program("python -m benchmarks", "benchmarks.__main__:app"),
)


@dataclass(frozen=True)
class Command:
    """One command that can be typed.

    Attributes:
        checkout: what does the same in a checkout.
        click: Typer's command: its help, its parameters.
    """

    checkout: str
    click: Any

    @property
    def name(self) -> str:
        """As it is typed by those who installed the package; as in a checkout where only that has it."""
        return in_one_command(self.checkout)

    @property
    def is_installed(self) -> bool:
        """Whether not only a checkout has it."""
        return self.name != self.checkout


def all_commands() -> Iterator[Command]:
    """Every command, in the order of PROGRAMS; imports the packages that define them, but not PyTorch."""
    for program in PROGRAMS:
        yield from _commands(program)


def _commands(program: Program) -> Iterator[Command]:
    module, _, name = program.app.partition(":")
    root = typer.main.get_command(getattr(import_module(module), name))
    commands: dict[str, Any] = getattr(root, "commands", {})
    if not commands or getattr(root, "invoke_without_command", False):
        yield Command(program.checkout, root)
    for chosen in program.commands or commands:
        yield Command(f"{program.checkout} {chosen}", commands[chosen])
