"""`python -m tests.fuzz`: look for inputs that break a promise, by atheris, and replay those that were found."""

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from repository.console import Console
from repository.exit_status import FAILED, USER_MISTAKE
from tests.fuzz.lines import fewest, share
from tests.fuzz.targets import NAMES, Target, load
from tests.places import ROOT

WORK = ROOT / ".fuzz"
"""Inputs that were found to reach something, and finds; not in git."""
LONGEST_BYTES = 4096
TIMEOUT_S = 30
MEMORY_MB = 2048
SHOWN_EVERY_S = 10.0
LOG_LINES = 25
_PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)")

out = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True)
Targets = Annotated[list[str] | None, typer.Argument(help=f"Some of {', '.join(NAMES)}; all if none is named.")]


@app.command()
def run(
    targets: Targets = None,
    seconds: Annotated[int, typer.Option(min=1, help="Spent on each target.")] = 600,
) -> None:
    """Look for inputs that break a promise. Exit status 1: there is one; where it lies is told, and how to replay it.

    What is found to reach something new is kept in .fuzz, from which the next run goes on.
    """
    if importlib.util.find_spec("atheris") is None:
        out.error("atheris is not installed: `pip install atheris` (it is built for Linux on x86-64 alone).")
        raise typer.Exit(USER_MISTAKE)
    broken = [name for name in _named(targets) if not _fuzz(load(name), seconds)]
    if broken:
        raise typer.Exit(FAILED)


@app.command()
def replay(target: str, files: list[Path]) -> None:
    """Give a target each of these files. It ends with the exception of the first that breaks a promise."""
    (name,) = _named([target])
    for file in files:
        load(name).check(file.read_bytes())
        out.print(f"{file}: all promises are kept.")


@app.command()
def keep(targets: Targets = None) -> None:
    """Write into the tests' corpus the fewest inputs that reach what those of .fuzz do, beside seeds and finds."""
    for name in _named(targets):
        target = load(name)
        target.corpus.mkdir(parents=True, exist_ok=True)
        written = [path for path in target.corpus.glob("*") if not path.name.isdigit()]
        first = [path.read_bytes() for path in written]
        kept = fewest(target, _inputs(target.corpus) + _inputs(WORK / name / "corpus"), first)
        for old in set(target.corpus.glob("*")) - set(written):
            old.unlink()
        for number, data in enumerate(kept):
            (target.corpus / f"{number:03}").write_bytes(data)
        out.print(f"{name}: {len(kept)} inputs beside {len(first)} seeds and finds.")


@app.command()
def lines(targets: Targets = None) -> None:
    """Show how many lines of the fuzzed files' functions the corpus of the tests reaches."""
    for name in _named(targets):
        target = load(name)
        for file, (reached, count) in share(target, _inputs(target.corpus)).items():
            out.print(f"{name}: {file}: {reached} of {count} lines")


def _named(targets: list[str] | None) -> list[str]:
    if unknown := [name for name in targets or () if name not in NAMES]:
        out.error(f"There is no target {unknown[0]}; there are {', '.join(NAMES)}.")
        raise typer.Exit(USER_MISTAKE)
    return targets or list(NAMES)


def _inputs(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*"))]


def _fuzz(target: Target, seconds: int) -> bool:
    """Whether nothing was found."""
    folder = WORK / target.name
    finds = folder / "finds"
    for needed in (folder / "corpus", finds, target.corpus):
        needed.mkdir(parents=True, exist_ok=True)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")
    options = {
        "max_total_time": seconds,
        "max_len": LONGEST_BYTES,
        "timeout": TIMEOUT_S,
        "rss_limit_mb": MEMORY_MB,
        "dict": words,
        "artifact_prefix": f"{finds}/",
    }
    command = [sys.executable, "-m", "tests.fuzz.guided", target.name]
    command += [*(f"-{name}={value}" for name, value in options.items()), str(folder / "corpus"), str(target.corpus)]
    before = set(finds.glob("*"))
    log = folder / "log"
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        told = _follow(target.name, process, log)
        status = process.wait()
    finally:
        process.kill()
    if status == 0:
        out.print(f"{target.name}: {told}; nothing found.")
        return True
    out.page("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]))
    for find in sorted(set(finds.glob("*")) - before):
        out.print(f"{target.name}: {told}; found {find}.")
        out.print(f"Replay it: {sys.executable} -m tests.fuzz replay {target.name} {find}")
    return False


def _follow(name: str, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Show how it goes on, and keep all that it says; returns the last figures."""
    told, shown = "0 executions", time.monotonic()
    assert process.stdout is not None
    with log.open("wb") as kept:
        for line in process.stdout:
            kept.write(line)
            kept.flush()
            if found := _PROGRESS.match(line.decode(errors="replace")):
                executions, coverage, features, inputs = found.groups()
                told = f"{executions} executions, {coverage} branches, {features} features, {inputs} inputs"
                if time.monotonic() - shown > SHOWN_EVERY_S:
                    shown = time.monotonic()
                    out.print(f"{name}: {told}")
    return told


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'\\"' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    app(prog_name="python -m tests.fuzz")
