"""`--help` shows each option's words whole: what looks like markup to the printer would be swallowed."""

import re
from typing import Any

import pytest
import rich.text  # noqa: TID251 - nothing is printed here

from launcher.reference.programs import Command, all_commands

EMPHASIS = re.compile(r"\[/?bold\]")


# The others print their help as it is written.
READ_AS_MARKUP = [command for command in all_commands() if command.click.rich_markup_mode is not None]


@pytest.mark.parametrize("command", READ_AS_MARKUP, ids=lambda command: command.name)
def test_no_word_of_a_help_text_is_taken_for_markup(command: Command) -> None:
    context = command.click.context_class(command.click, info_name=command.name)
    described: list[Any] = [command.click, *command.click.get_params(context)]
    for each in described:
        written = EMPHASIS.sub("", each.help or "") if hasattr(each, "help") else ""
        assert rich.text.Text.from_markup(written).plain == written
