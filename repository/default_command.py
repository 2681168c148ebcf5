"""A command line with several commands, one of which is meant when none is named."""

from typing import Any

from typer.core import TyperGroup


class DefaultCommandGroup(TyperGroup):
    """A group whose first command is the default: `program ARGUMENT` is `program FIRST_COMMAND ARGUMENT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name in front, unless a command or one of the group's own options leads."""
        own_options = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if not args or args[0] not in {*self.commands, *own_options}:
            args = [next(iter(self.commands)), *args]
        return list(super().parse_args(ctx, args))
