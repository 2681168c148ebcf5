"""What pages are tried on: a folder like a checkout, and a service with a small model of the sample's labels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from repository.spelling import COMMAND
from repository.store import ModelStore
from tests.integration.stack import ROOT, Stack
from tests.version_folders import write_golden, write_version

# Words of the pages' examples, what they vote for and how strongly. The first sentence gets the label and about the
# score that the default model gives it.
VOTES = {
    "aprende": ("Education", 3.13),
    "lenguaje": ("Education", 3.13),
    "Invoice": ("Business", 5.0),
    "machines": ("Technology", 1.5),
    "film": ("Entertainment", 4.0),
    "plants": ("Life", 4.0),
    "law": ("Other", 4.0),
    "plan": ("Productivity", 4.0),
}
# Made by whoever works in a checkout: a page's folder has its own.
NOT_LINKED = {"model_repository", "checkpoints", "exports", "site", "findings"}


def write_sample_version(folder: Path, strength: float = 1.0) -> Path:
    """A version with the sample's seven labels, and golden sentences."""
    words = {word: label for word, (label, _) in VOTES.items()}
    weights = {word: strength * weight for word, (_, weight) in VOTES.items()}
    write_version(folder, words, max_length=16, weights=weights)
    write_golden(folder, ["Mapa aprende un nuevo lenguaje", "Invoice for the new machines"])
    return folder


def write_checkout(folder: Path) -> Path:
    """A folder that looks like the checkout, with a model repository of its own and a version to publish."""
    folder.mkdir()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in sorted({line.partition("/")[0] for line in tracked.splitlines()} - NOT_LINKED):
        (folder / name).symlink_to(ROOT / name)
    model = folder / "model_repository" / "classifier"
    model.mkdir(parents=True)
    shutil.copy(ROOT / "model_repository" / "classifier" / "config.pbtxt", model)
    write_sample_version(folder / "exports" / "classifier", strength=1.1)
    return folder


def new_service(folder: Path) -> Stack:
    """Triton and the gateway over a repository with one published version; not started yet."""
    repository = write_checkout(folder) / "model_repository"
    ModelStore(repository, "classifier").publish(write_sample_version(folder.with_name(f"{folder.name}-first")))
    return Stack(repository, folder.with_name(f"{folder.name}.log"), LOG_REQUESTS="false")


def page_env(stack: Stack | None, programs: Path) -> dict[str, str]:
    """What a page's shell has: the service's settings where there is one, and this checkout's programs first.

    `programs` is a new folder for the one command, which the interpreter's own folder may have of another checkout.
    """
    programs.mkdir()
    command = programs / COMMAND
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m text_classifier "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    env = dict(os.environ) if stack is None else dict(stack.env)
    env["PATH"] = f"{programs}:{Path(sys.executable).parent}:{env['PATH']}"
    return env | {"PYTHONPATH": str(ROOT), "LOG_REQUESTS": "false", "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
