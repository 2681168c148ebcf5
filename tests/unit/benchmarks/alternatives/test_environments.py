"""What the alternatives run in: locked, installed once, listening on this machine alone; what is not there says so."""

import ast
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.alternatives import AlternativeError, environments
from benchmarks.alternatives.environments import LOCKS, obtain
from benchmarks.alternatives.outcome import Outcome
from benchmarks.alternatives.registry import ALTERNATIVES, SERVERS, Alternative
from benchmarks.alternatives.table import alternatives_table
from benchmarks.commands.everything import QUICK, measure_or_leave_out
from tests.fake_alternative import SENTENCES, launch


def requirement_names(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [re.split(r"[\[<>=;\s]", line)[0] for line in lines]


@pytest.mark.parametrize("environment", sorted({each.environment for each in ALTERNATIVES if each.environment}))
def test_every_package_of_an_environment_is_locked_to_one_version(environment: str) -> None:
    lock = (LOCKS / f"{environment}.txt").read_text()
    locked = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in lock.splitlines())):
        match = re.fullmatch(r"([a-z0-9._-]+)==([a-z0-9.+]+)(?: ;.*)?", line)
        assert match, line
        locked[match[1]] = match[2]
    assert locked["torch"] == "2.13.0"
    assert set(requirement_names((LOCKS / f"{environment}.in").read_text())) <= set(locked)
    alone = LOCKS / f"{environment}.alone"
    assert not alone.exists() or re.fullmatch(r"([a-z0-9._-]+==[a-z0-9.]+\n)+", alone.read_text())


def test_every_lock_is_used_and_every_alternative_is_described() -> None:
    assert {path.stem for path in LOCKS.iterdir()} == {each.environment for each in ALTERNATIVES} - {""}
    assert len({each.name for each in ALTERNATIVES}) == len(ALTERNATIVES) == 11
    for alternative in ALTERNATIVES:
        assert alternative.settings
        assert re.fullmatch(r"[a-z0-9.-]+", Outcome(alternative).version)


@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda each: each.name)
def test_an_alternative_listens_on_this_machine_alone_and_serves_the_checkpoint(
    alternative: Alternative, tmp_path: Path
) -> None:
    started = launch(tmp_path)
    command = alternative.command(started)
    given = " ".join(command) + "".join(path.read_text() for path in tmp_path.glob("*.json"))
    scripts = [SERVERS / Path(part).name for part in command if part.endswith(".py")]
    given += "".join(script.read_text() for script in scripts)
    assert str(started.port) in given
    assert "127.0.0.1" in given
    assert "0.0.0.0" not in given
    prepared = alternative.prepare(started) if alternative.prepare else []
    served = str(started.version if "onnxruntime" in alternative.name else started.checkpoint)
    assert served in " ".join([given, *prepared]) or alternative.name == "bentoml"  # by a variable


@pytest.mark.parametrize("script", sorted(SERVERS.glob("*.py")), ids=lambda script: script.stem)
def test_a_server_needs_nothing_of_this_project(script: Path) -> None:
    """It runs in another environment."""
    modules = {
        node.module or "" for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)
    }
    assert not {module.split(".")[0] for module in modules} & {"benchmarks", "repository", "gateway", "export"}


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks with one environment, `ray`, that holds no package."""
    folder = tmp_path / "locks"
    folder.mkdir()
    for suffix in ("in", "txt"):
        (folder / f"ray.{suffix}").write_text("# nothing\n")
    monkeypatch.setattr(environments, "LOCKS", folder)
    return folder


def test_an_environment_is_made_once_and_again_when_its_lock_changes(locks: Path, tmp_path: Path) -> None:
    said: list[str] = []
    ray = next(each for each in ALTERNATIVES if each.name == "ray")
    for _ in range(2):
        programs = obtain(ray, tmp_path / "made", create=True, report=said.append)
    assert (programs / "python").exists()
    assert len(said) == 1
    (locks / "ray.txt").write_text("# changed\n")
    with pytest.raises(AlternativeError, match="not installed; `python -m benchmarks alternatives`"):
        obtain(ray, tmp_path / "made", create=False, report=said.append)
    obtain(ray, tmp_path / "made", create=True, report=said.append)
    assert len(said) == 2


def test_an_environment_that_cannot_be_made_says_why_and_is_tried_again(locks: Path, tmp_path: Path) -> None:
    (locks / "ray.in").write_text("./nothing-of-that-name\n")
    ray = next(each for each in ALTERNATIVES if each.name == "ray")
    for _ in range(2):
        with pytest.raises(AlternativeError, match=r"does not install: .*nothing-of-that-name"):
            obtain(ray, tmp_path / "made", create=True, report=lambda _: None)


def test_without_docker_the_container_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tei = next(each for each in ALTERNATIVES if each.name == "tei")
    with pytest.raises(AlternativeError, match="no Docker on PATH"):
        obtain(tei, tmp_path, create=True, report=lambda _: None)


@pytest.mark.parametrize(
    ("engine", "image", "reason"), [(1, 1, "no Docker engine answers"), (0, 1, "image not present; `docker pull")]
)
def test_an_engine_that_is_away_is_told_from_an_image_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: int, image: int, reason: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n[ $1 = version ] && exit {engine}\nexit {image}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    tei = next(each for each in ALTERNATIVES if each.name == "tei")
    with pytest.raises(AlternativeError, match=reason):
        obtain(tei, tmp_path, create=True, report=lambda _: None)


def test_a_quick_run_installs_nothing_and_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no environment lies here
    without = measure_or_leave_out(tmp_path, SENTENCES, QUICK, lambda _: None)
    assert [outcome.alternative for outcome in without] == list(ALTERNATIVES)
    assert {outcome.reason for outcome in without} == {f"no checkpoint in {tmp_path}: name one with --checkpoint"}
    (tmp_path / "config.json").write_text("{}")
    outcomes = measure_or_leave_out(tmp_path, SENTENCES, QUICK, lambda _: None)
    assert [outcome.alternative.name for outcome in outcomes] == [each.name for each in ALTERNATIVES]
    assert outcomes[0].reason == "not installed; `python -m benchmarks alternatives` installs it"
    assert {outcome.reason for outcome in outcomes[1:]} == {"left out of a quick run"}
    assert not (tmp_path / ".alternatives").exists()
    assert len(alternatives_table(outcomes).rows) == len(ALTERNATIVES)


def test_the_command_lists_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["alternatives", "--list"])
    assert listed.exit_code == 0
    assert all(alternative.name in listed.output for alternative in ALTERNATIVES)
    assert CliRunner().invoke(app, ["alternatives", "--only", "nothing"]).exit_code == 2
    assert CliRunner().invoke(app, ["alternatives", "--connections", "1,x"]).exit_code == 2
    assert CliRunner().invoke(app, ["alternatives", "--checkpoint", str(tmp_path)]).exit_code == 2
