"""The installed command in a folder that holds a checkpoint alone: it exports, publishes, serves and scores there."""

import csv
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repository.manifest import Manifest
from tests.integration.stack import Stack, wait_until
from tests.tiny_models import write_classifier
from tests.wheels import PACKAGES, Installed, build, copy_sources, environment, install

WHAT, WHOM = ("bread", "a desk", "a new word", "rest"), ("cat", "team", "map")
TEXTS = [f"{what} for the {whom}" for what in WHAT for whom in WHOM]
LABELS = ["Food", "Home", "Work"]


@dataclass
class Served:
    """What `text-classifier serve` serves, and from where."""

    installed: Installed
    folder: Path
    stack: Stack

    def run(self, *arguments: str) -> str:
        """Run another command in the same folder, beside the service; returns what it prints."""
        done = self.installed.run(*arguments, cwd=self.folder, **settings_of(self.stack))
        assert done.returncode == 0, done.stderr
        return done.stdout


def settings_of(stack: Stack) -> dict[str, str]:
    ports = {name: str(port) for name, port in stack.ports.items()}
    return {**ports, "TRITON_KIND": "embedded", "DATA": "texts.csv", "PRECISION": "fp32"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "sources").mkdir()
    return install(build("wheel", copy_sources(folder / "sources")), folder / "environment")


@pytest.fixture(scope="module")
def served(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service, in a folder whose owner has packages of the same names as this project."""
    folder = tmp_path_factory.mktemp("empty")
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise SystemExit('their {name}')")
    (folder / "texts.csv").write_text("\n".join(["text", *TEXTS]) + "\n")
    write_classifier(folder / "checkpoints" / "classifier", LABELS)
    stack = Stack(folder / "model_repository", tmp_path_factory.mktemp("log") / "log")
    command, settings = [installed.command, "serve"], environment(**settings_of(stack))
    with stack.log.open("wb") as log:
        stack.process = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: stack.version() is not None, 60, f"the service is ready, see {stack.log}")
        yield Served(installed, folder, stack)
    finally:
        assert stack.stop(signal.SIGTERM) == 0


def test_the_checkpoint_that_lies_there_is_exported_published_and_served_there(served: Served) -> None:
    answer = served.stack.classify(TEXTS[0])
    assert answer.status_code == 200
    assert answer.json()[0]["label"] in LABELS
    assert Manifest.read(served.folder / "model_repository" / "classifier" / "1").labels == LABELS
    made = {path.name for path in served.folder.iterdir()} - {*PACKAGES, "checkpoints", "texts.csv"}
    assert made <= {"model_repository", "exports", "scored.csv"}


def test_the_page_comes_with_the_wheel(served: Served) -> None:
    assert "<html" in served.stack.client.get("/").text


def test_a_file_is_scored_as_the_service_answers(served: Served) -> None:
    served.run("score", "texts.csv", "scored.csv")
    with (served.folder / "scored.csv").open() as scored:
        labels = [row["label"] for row in csv.DictReader(scored)]
    assert labels == [served.stack.classify(text).json()[0]["label"] for text in TEXTS]


def test_a_version_that_is_exported_and_published_there_is_taken_up(served: Served) -> None:
    served.run("export", "checkpoints/classifier", "--precision", "fp32", "--data", "texts.csv")
    assert Manifest.read(served.folder / "exports" / "classifier").labels == LABELS
    assert "version 2" in served.run("publish", "exports/classifier")
    wait_until(lambda: served.stack.version() == 2, 30, "version 2 is served")
    assert "model_repository" in served.run("repository", "list")


def test_nothing_is_written_where_the_wheel_lies(served: Served) -> None:
    inside = served.installed.site_packages / "text_classifier"
    record = next(served.installed.site_packages.glob("*.dist-info/RECORD")).read_text()
    installed = {row[0] for row in csv.reader(record.splitlines())}
    there = {str(path.relative_to(inside.parent)) for path in inside.rglob("*") if path.is_file()}
    assert {name for name in there if "__pycache__" not in name} <= installed
