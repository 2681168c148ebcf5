"""The page of commands: what each does, its arguments and options, from the objects that parse them."""

import re
from typing import Any

from launcher.reference.markdown import GENERATED, code, paragraphs, plain, table
from launcher.reference.programs import Command, all_commands
from repository.spelling import COMMAND

INTRODUCTION = f"""# Command line

`pip install` brings one command, `{COMMAND}`. In a checkout the same commands are there as Python modules, which stand
beside each. `--help` of each shows what is here, `{COMMAND} --version` the version, and
`{COMMAND} --install-completion` lets your shell complete commands and options.

Folders that are not named lie in the current one: `checkpoints/`, `exports/`, `model_repository/`. What more than one
command needs is a [setting](settings.md).
"""
# Every command has them, or the program as a whole does.
LEFT_OUT = {"--help", "--install-completion", "--show-completion"}
# What makes a part of a help text bold on a terminal.
_BOLD = re.compile(r"\[/?bold\]")


def command_line_page() -> str:
    """The text of docs/reference/command-line.md."""
    commands = list(all_commands())
    overview = table(
        ("command", "in a checkout", ""),
        (
            (f"[`{each.name}`](#{_anchor(each)})", code(each.checkout if each.is_installed else ""), _first_line(each))
            for each in commands
        ),
    )
    return "\n".join([GENERATED, INTRODUCTION, overview, *map(_section, commands)])


def _anchor(command: Command) -> str:
    return re.sub(r"[ .]+", "-", command.name)


def _help(described: Any) -> str:
    """What `--help` says of a command or a parameter."""
    return _BOLD.sub("", described.help or "")


def _first_line(command: Command) -> str:
    return plain(_help(command.click).split("\n\n")[0])


def _section(command: Command) -> str:
    context = command.click.context_class(command.click, info_name=command.name)
    usage = " ".join([command.name, *command.click.collect_usage_pieces(context)])
    parts = [
        f"## {command.name} {{ #{_anchor(command)} }}",
        f"```text\n{usage}\n```",
        paragraphs(_help(command.click)),
    ]
    parameters = [each for each in command.click.get_params(context) if not LEFT_OUT & set(each.opts)]
    arguments = [_row(each, context) for each in parameters if each.param_type_name == "argument"]
    options = [_row(each, context) for each in parameters if each.param_type_name == "option" and not each.hidden]
    if arguments:
        parts.append(table(("argument", "meaning", "default"), arguments))
    if options:
        parts.append(table(("option", "meaning", "default, limits"), options))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(parameter: Any, context: Any) -> tuple[str, str, str]:
    """What is typed, what it means, and what else the help says of it: default, limits, whether it is required."""
    typed, text = parameter.get_help_record(context)
    meaning = " ".join(_help(parameter).split())
    rest = " ".join(_BOLD.sub("", text).split()).removeprefix(meaning).strip().removeprefix("[").removesuffix("]")
    limits = [_limit(part) for part in rest.split("; ") if part]
    return code(typed), plain(meaning), "; ".join(limits)


def _limit(part: str) -> str:
    kind, _, value = part.partition(": ")
    if kind != "default":
        return code(part) if "x" in part and "=" in part else plain(part)
    if value.startswith("(") and value.endswith(")"):
        return plain(value[1:-1])
    return code(value)
