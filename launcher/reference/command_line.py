"""The page of commands: what each does, its arguments and options, from the objects that parse them."""

from typing import Any

from launcher.reference.markdown import GENERATED, code, paragraphs, plain, table
from launcher.reference.programs import PROGRAM, Command, all_commands

INTRODUCTION = f"""# Command line

`pip install` brings one command, `{PROGRAM}`. In a checkout the same commands are there as Python modules, which stand
beside each. `--help` of each shows what is here, `{PROGRAM} --version` the version, and
`{PROGRAM} --install-completion` lets your shell complete commands and options.

Folders that are not named lie in the current one: `checkpoints/`, `exports/`, `model_repository/`. What more than one
command needs is a [setting](settings.md).
"""
# Every command has them, or the program as a whole does.
LEFT_OUT = {"--help", "--install-completion", "--show-completion"}


def command_line_page() -> str:
    """The text of docs/reference/command-line.md."""
    commands = list(all_commands())
    overview = table(
        ("command", "in a checkout", ""),
        (
            (f"[`{each.name}`](#{'-'.join(each.name.split())})", code(each.checkout), _first_line(each))
            for each in commands
        ),
    )
    return "\n".join([GENERATED, INTRODUCTION, overview, *map(_section, commands)])


def _first_line(command: Command) -> str:
    return plain((command.click.help or "").split("\n\n")[0])


def _section(command: Command) -> str:
    context = command.click.context_class(command.click, info_name=command.name)
    usage = " ".join([command.name, *command.click.collect_usage_pieces(context)])
    parts = [f"## {command.name}", f"```text\n{usage}\n```", paragraphs(command.click.help or "")]
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
    meaning = " ".join((parameter.help or "").split())
    rest = " ".join(text.split()).removeprefix(meaning).strip().removeprefix("[").removesuffix("]")
    limits = [_limit(part) for part in rest.split("; ") if part]
    return code(typed), plain(meaning), "; ".join(limits)


def _limit(part: str) -> str:
    kind, _, value = part.partition(": ")
    if kind != "default":
        return code(part) if "x" in part and "=" in part else plain(part)
    if value.startswith("(") and value.endswith(")"):
        return plain(value[1:-1])
    return code(value)
