"""The commands of the documentation's pages, and what each page says that they print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT

FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$", re.M | re.S
)
REASON = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*\Z", re.S)
SERVICE = re.compile(r"^<!-- page: service -->$", re.M)
# Commands after which another page would find another service, or other counts.
CHANGES = re.compile(r" publish | repository |/metrics|kill ")
ANYTHING = "…"


@dataclass(frozen=True)
class Step:
    """A command, and what the page says that it prints; None where it says nothing."""

    command: str
    output: str | None

    def is_printed(self, text: str) -> bool:
        """Whether the text is the page's output; `…` there stands for anything."""
        if self.output is None:
            return True
        lines = self.output.strip("\n").split("\n")
        return re.fullmatch("".join(map(_pattern, lines)), _stripped(text)) is not None


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    """The words after the fence."""
    body: str
    line: int
    reason: str | None
    """Why its commands are not run, by the comment right before it."""

    @property
    def is_run(self) -> bool:
        """Whether the commands of a console block are run."""
        return self.language == "console"

    def steps(self) -> list[Step]:
        """The commands of a console block, in order."""
        found: list[tuple[list[str], list[str]]] = []
        for line in self.body.splitlines():
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif found and not found[-1][1] and (line.startswith("> ") or found[-1][0][-1].endswith("\\")):
                found[-1][0].append(line.removeprefix("> "))
            elif line == ">" and found and not found[-1][1]:
                found[-1][0].append("")
            elif found:
                found[-1][1].append(line)
        return [Step("\n".join(command), "\n".join(output) if output else None) for command, output in found]


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path in the checkout."""
        return str(self.path.relative_to(ROOT))

    @property
    def has_service(self) -> bool:
        """Whether its commands ask a running service."""
        return SERVICE.search(self.text) is not None

    @property
    def is_alone(self) -> bool:
        """Whether it changes or counts what the service does, so that no other page may share it."""
        return any(CHANGES.search(step.command) for step in self.steps())

    def blocks(self) -> list[Block]:
        """All fenced blocks, in order."""
        found = []
        for match in FENCE.finditer(self.text):
            before = self.text[: match.start()]
            reason = REASON.search(before)
            body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.M)
            line = before.count("\n") + 1
            found.append(Block(match["info"].strip(), body, line, reason and reason["reason"]))
        return found

    def steps(self) -> list[Step]:
        """The commands that are run, in order."""
        return [step for block in self.blocks() if block.is_run for step in block.steps()]

    def prose(self) -> str:
        """The page without its fenced blocks."""
        return FENCE.sub("", self.text)


def pages() -> list[Page]:
    """README.md and every page of the site."""
    return list(_pages())


def _pages() -> Iterator[Page]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*/**/*.md")), *(ROOT / "docs").glob("index.md")):
        yield Page(path, path.read_text(encoding="utf-8"))


def _pattern(line: str) -> str:
    """What a line of output may be: by itself, `…` is any number of lines; within one, any part of it."""
    if line.strip() == ANYTHING:
        return r"(?:[^\n]*\n)*"
    return "[^\n]*".join(map(re.escape, line.rstrip().split(ANYTHING))) + r"\n"


def _stripped(text: str) -> str:
    lines = [line.rstrip() for line in text.replace("\r", "").split("\n")]
    return "\n".join(lines).strip("\n") + "\n"
