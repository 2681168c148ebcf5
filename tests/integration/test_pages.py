"""Every command of every page, one after the other as a reader types them, prints what the page says."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.measure.ports import free_ports
from tests.integration.page_service import new_service, page_env, write_checkout
from tests.integration.stack import Stack
from tests.integration.swapping import SWAP_S
from tests.page_shell import PageShell
from tests.pages import Page, Step, pages
from tests.waiting import PATIENCE

TIMEOUT_S = 300
# What trains in seconds where a page trains: the base and the passes that its reader leaves to the default.
TRAINING = ("text-classifier train", "-m training train", "-m training --")
TINY = "--base-model tiny-encoder --epochs 1 --no-baseline"
# Of the two layers that this base has.
STUDENT, TINY_STUDENT = "text-classifier distill ", ("--layers 6", "--layers 1")
ENCODER = "tiny-encoder"
# Commands that depend on nothing but those before them, and what they write.
OFFLINE = ("text-classifier train ", "text-classifier export ", STUDENT)
MADE = ("checkpoints", "exports")

WITH_COMMANDS = [page for page in pages() if page.steps()]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One service for all pages that only ask."""
    with new_service(tmp_path_factory.mktemp("shared") / "project") as running:
        yield running


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import write_encoder  # PyTorch, which pages that do not train do without

    return write_encoder(tmp_path_factory.mktemp("encoder") / ENCODER)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> "Made":
    return Made(tmp_path_factory.mktemp("made"))


class Made:
    """What trainings and exports made: of pages that begin with the same ones, the first runs them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[str, ...], Path] = {}

    def bring(self, commands: tuple[str, ...], project: Path) -> bool:
        """Whether just these commands were run elsewhere; what they made is then in the project."""
        if commands not in self._kept:
            return False
        for name in MADE:
            if (self._kept[commands] / name).is_dir():
                shutil.rmtree(project / name, ignore_errors=True)
                shutil.copytree(self._kept[commands] / name, project / name)
        return True

    def keep(self, commands: tuple[str, ...], project: Path) -> None:
        """Keep what the commands made, if they do nothing but train and export."""
        if all(command.startswith(OFFLINE) for command in commands):
            kept = self._kept[commands] = self._folder / str(len(self._kept))
            for name in MADE:
                if (project / name).is_dir():
                    shutil.copytree(project / name, kept / name)


def test_the_pages_have_commands() -> None:
    assert len(WITH_COMMANDS) > 2
    assert sum(len(page.steps()) for page in WITH_COMMANDS) > 12


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_every_command_prints_what_the_page_says(
    page: Page, tmp_path: Path, made: "Made", request: pytest.FixtureRequest
) -> None:
    with ExitStack() as running:
        stack = None
        if page.has_service and page.is_alone:
            stack = running.enter_context(new_service(tmp_path / "project"))
        else:
            write_checkout(tmp_path / "project")
        if page.has_service and not page.is_alone:
            stack = request.getfixturevalue("shared")
        if any(mark in step.command for step in page.steps() for mark in TRAINING):
            (tmp_path / "project" / ENCODER).symlink_to(request.getfixturevalue("encoder"))
        places = places_of(stack)
        shell = running.enter_context(PageShell(tmp_path / "project", page_env(stack, tmp_path / "programs")))
        begun: tuple[str, ...] = ()
        for step in page.steps():
            begun = (*begun, step.command)
            if made.bring(begun, tmp_path / "project"):
                continue
            run(shell, Step(replaced(step.command, places), step.output and replaced(step.output, places)))
            made.keep(begun, tmp_path / "project")


def places_of(stack: Stack | None) -> dict[str, str]:
    """What stands on pages and is elsewhere here."""
    places = {".venv/bin/": ""}
    for port, here in zip((8001, 8002), free_ports(2), strict=True):
        places |= {f"127.0.0.1:{port}": f"127.0.0.1:{here}", f"PORT={port}": f"PORT={here}"}
    if stack is not None:
        ports = {8000: "GATEWAY_PORT", 8100: "TRITON_HTTP_PORT", 8102: "TRITON_METRICS_PORT"}
        places |= {f"127.0.0.1:{port}": f"127.0.0.1:{stack.ports[name]}" for port, name in ports.items()}
    return places


def replaced(text: str, places: dict[str, str]) -> str:
    for place, here in places.items():
        text = text.replace(place, here)
    if any(mark in text for mark in TRAINING) and "--base-model" not in text:
        text = f"{text} {TINY}"
    return text.replace(*TINY_STUDENT) if text.startswith(STUDENT) else text


def run(shell: PageShell, step: Step) -> None:
    """Run it; one that only looks is repeated until the service has followed what was done before."""
    deadline = time.monotonic() + (PATIENCE * SWAP_S if step.command.startswith("curl") else 0)
    while True:
        printed, status = shell.run(step.command, TIMEOUT_S)
        if status == 0 and step.is_printed(printed):
            return
        if time.monotonic() > deadline:
            said = "" if step.output is None else f"\nwhere the page says\n{step.output}"
            pytest.fail(f"{step.command}\nended with {status} and printed\n{printed}{said}")
        time.sleep(0.1)
