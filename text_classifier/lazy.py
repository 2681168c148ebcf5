"""How is a subcommand's program imported no earlier than it is asked for? A group of names, each loaded when it is."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from repository.missing import extra_named
from repository.spelling import in_one_command

_COMPLETION_OPTIONS = ("install_completion", "show_completion")


@dataclass(frozen=True)
class Entry:
    """A subcommand: what is known of it before it is imported."""

    help: str
    """What it does, in one line."""

    panel: str
    """Heading that it is listed under."""

    source: str
    """Where its Typer application is: `module:attribute`."""

    within: str = ""
    """Which of the application's commands it is; empty for the application itself."""

    extra: str = ""
    """Extras that bring the packages it imports."""


class LazyGroup(TyperGroup):
    """A group whose `entries` are listed by name and line, and imported when they are called or completed."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **attributes: Any) -> None:
        """Takes what Typer gives a group."""
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
            for name, entry in self.entries.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command in place of the line that stands for it."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, listed, rest
        return name, _load(self.entries[name], name, listed, ctx.resilient_parsing), rest


def _load(entry: Entry, name: str, listed: Any, completing: bool) -> Any:
    module, _, attribute = entry.source.partition(":")
    try:
        with nullcontext() if completing else extra_named(entry.extra):
            program = import_module(module)
    except ModuleNotFoundError:
        return listed  # nobody waits for a reason after a press of Tab
    command = typer.main.get_command(getattr(program, attribute))
    if entry.within:
        command = command.commands[entry.within]  # type: ignore[attr-defined]
    command.name = name
    command.params = [each for each in command.params if each.name not in _COMPLETION_OPTIONS]
    _adapt(command, entry.extra, getattr(program, "running", nullcontext))
    return command


def _adapt(command: Any, extra: str, running: Any) -> None:
    """Let a program run as its own `__main__` lets it, and speak of itself as it was called."""
    for inner in getattr(command, "commands", {}).values():
        _adapt(inner, extra, running)
    for described in (command, *command.params):
        for text in ("help", "short_help", "epilog"):
            if written := getattr(described, text, None):
                setattr(described, text, in_one_command(written))
    if (callback := command.callback) is None:
        return

    def call(**given: Any) -> Any:
        with running(), extra_named(extra):
            return callback(**given)

    command.callback = call
