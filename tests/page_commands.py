"""Do a page's commands exist? Their subcommands, options, make targets and files; nothing is run for it."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

from gateway.settings import GatewaySettings
from launcher.reference.programs import Command, all_commands
from launcher.settings import LauncherSettings
from repository.spelling import COMMAND
from server.settings import ServerSettings
from tests.places import ROOT

# Made by commands, not part of a checkout.
MADE = {"checkpoints", "exports", "model_repository", "site", "benchmarks/results"}
# What every program has, whatever it does.
EVERYWHERE = {"--help", "--version", "--install-completion", "--show-completion"}
BETWEEN = {"&&", "||", "|", ";", "&"}
# Programs that are given files of the checkout, and by which options.
WITH_FILES = {"docker", "docker-compose", "kubectl", "kustomize"}
FILE_OPTIONS = {"-f", "--file", "-k", "--kustomize", "--filename"}


def complaints(command: str) -> list[str]:
    """What is wrong with a command of a page, a line each."""
    return [complaint for words in simple_commands(command) for complaint in _complaints(words)]


def simple_commands(command: str) -> Iterator[list[str]]:
    """The programs that a line starts, each with its arguments, without what is set for it alone."""
    text = re.sub(r"<<-?\s*'?(\w+)'?.*?^\1$", "", command, flags=re.M | re.S).replace("\\\n", " ")
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in lexer:
        if word in BETWEEN:
            yield from _program(words)
            words = []
        else:
            words.append(word)
    yield from _program(words)


def _program(words: list[str]) -> Iterator[list[str]]:
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0], re.S) or words[0] in ("sudo", "exec")):
        words = words[1:]
    if words:
        yield words


def _complaints(words: list[str]) -> Iterator[str]:
    program = words[0].rpartition("/")[2]
    if program == "make":
        yield from _make(words[1:])
    elif program == COMMAND:
        yield from _own(f"{COMMAND} {' '.join(words[1:])}", by_name())
    elif program in ("python", "python3") and words[1:2] == ["-m"] and words[2].partition(".")[0] in own_packages():
        yield from _own(f"python -m {' '.join(words[2:])}", by_checkout())
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if program in WITH_FILES and word in FILE_OPTIONS and following and "://" not in following and following != "-":
            yield from _missing(following)
        yield from _missing_in_checkout(word)


@cache
def by_name() -> dict[str, Command]:
    """Every command under its name for those who installed the package."""
    return {command.name: command for command in all_commands()}


@cache
def by_checkout() -> dict[str, Command]:
    """The same under their names in a checkout; the first of a program's is meant where none is named."""
    found: dict[str, Command] = {}
    for command in all_commands():
        found.setdefault(command.checkout, command)
        if command.checkout.count(" ") > 2:
            found.setdefault(command.checkout.rpartition(" ")[0], command)
    return found


@cache
def own_packages() -> frozenset[str]:
    """The packages whose modules are commands."""
    return frozenset(name.removeprefix("python -m ").partition(".")[0].split()[0] for name in by_checkout())


def _own(line: str, known: dict[str, Command]) -> Iterator[str]:
    name = max((name for name in known if f"{line} ".startswith(f"{name} ")), key=len, default=None)
    rest = line.removeprefix(name or "").split()
    given = {word.partition("=")[0] for word in rest if word.startswith("--") and word != "--"}
    if name is None:
        if given - EVERYWHERE or line.split()[1:2] not in ([], [*given][:1]):
            yield f"{line}: there is no such command"
        return
    click: Any = known[name].click
    options = {option for each in click.params for option in (*each.opts, *each.secondary_opts)}
    for option in sorted(given - options - EVERYWHERE):
        yield f"{name}: there is no option {option}"


def _make(words: list[str]) -> Iterator[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = {name.upper() for each in _settings() for name in each.model_fields}
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            if name not in settings and not re.search(rf"\b{name}\b", text):
                yield f"make: nothing reads {name}"
        elif not re.search(rf"^{re.escape(name)}:", text, re.M):
            yield f"make: there is no target {name}"


def _settings() -> tuple[Any, ...]:
    return GatewaySettings, ServerSettings, LauncherSettings


def _missing_in_checkout(word: str) -> Iterator[str]:
    path = word.removeprefix("./")
    top = path.partition("/")[0]
    is_path = "/" in path and re.fullmatch(r"[\w./-]+", path) is not None
    is_ours = bool(top) and not top.startswith(".") and (ROOT / top).is_dir()
    if is_path and is_ours and not any(path.startswith(made) for made in MADE):
        yield from _missing(path)


def _missing(word: str) -> Iterator[str]:
    if not (ROOT / word).exists():
        yield f"{word} is not in the checkout"
