"""`text-classifier`: every subcommand explains itself by its own name, quickly, and can be completed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from repository.missing import EXTRAS
from repository.spelling import COMMAND, DISTRIBUTION, FORMS, in_one_command
from tests.places import ROOT
from tests.wheels import Installed, environment
from text_classifier.commands import COMMANDS, VERSION_COMMANDS, app

SLOW = {"torch", "transformers", "onnx", "onnxruntime", "numpy", "pyarrow", "sklearn", "datasets", "fastapi"}
CALLS = [[], *([name] for name in COMMANDS), *(["version", name] for name in VERSION_COMMANDS)]
CALLS += [["repository", name] for name in ("list", "publish", "rollback", "pin", "prune", "verify")]
CALLS += [["bench", "gateway"], ["bench", "all"]]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call) or COMMAND)
def test_help_names_the_command_as_it_was_called(call: list[str]) -> None:
    shown = CliRunner().invoke(app, [*call, "--help"], prog_name=COMMAND, terminal_width=200)
    assert shown.exit_code == 0, shown.output
    assert f"Usage: {' '.join([COMMAND, *call])} " in shown.output
    assert not re.search(r"python -m|make (up|pipeline)", shown.output)
    assert ("--show-completion" in shown.output) == (not call)


@pytest.mark.parametrize("name", ["install", "check"])
def test_help_of_tritons_commands_too(installed: Installed, tmp_path: Path, name: str) -> None:
    shown = installed.run("triton", name, "--help", cwd=tmp_path)  # its output goes through a queue
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"Usage: text-classifier triton {name} " in shown.stdout


def test_help_lists_each_command_with_its_line() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], prog_name=COMMAND).output.replace("│", "").split())
    for name, entry in COMMANDS.items():
        assert f"{name} {entry.help}" in shown


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["version", "--help"]])
def test_no_package_is_imported_that_is_not_asked_for(arguments: list[str]) -> None:
    assert imported(arguments) & {*SLOW, "export", "training", "gateway", "benchmarks"} == set()


def test_no_help_waits_for_torch() -> None:
    assert imported(*([name, "--help"] for name in COMMANDS)) & {"torch", "transformers"} == set()


def imported(*calls: list[str]) -> set[str]:
    """Top-level modules of a process that ran the command, once for each of the lists of arguments."""
    code = (
        "import json, sys\n"
        "from text_classifier.command import main\n"
        "for sys.argv[1:] in json.loads(sys.argv[1]):\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code\n"
        "print('\\n' + json.dumps([*sys.modules]))"
    )
    command = [sys.executable, "-c", code, json.dumps(calls)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_version_is_that_of_the_distribution() -> None:
    shown = CliRunner().invoke(app, ["--version"], prog_name=COMMAND)
    assert (shown.exit_code, shown.output) == (0, f"{COMMAND} {version(DISTRIBUTION)}\n")


def test_a_mistyped_command_is_named_with_the_nearest() -> None:
    shown = CliRunner().invoke(app, ["serv"], prog_name=COMMAND)
    assert shown.exit_code == 2
    assert "Did you mean 'serve'?" in shown.output


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("text-classifier re", {"repository"}),
        ("text-classifier repository ro", {"rollback"}),
        ("text-classifier version ", {"inspect", "diff", "calibrate", "profile"}),
        ("text-classifier train --base", {"--base-model", "--baseline"}),
        ("text-classifier export --precision ", {"auto", "fp32", "fp16", "int8"}),
    ],
)
def test_bash_completes_commands_options_and_values(
    installed: Installed, tmp_path: Path, line: str, expected: set[str]
) -> None:
    words = line.split(" ")
    script = (
        'eval "$(text-classifier --show-completion bash)"\n'
        f"COMP_WORDS=({' '.join(word or chr(39) * 2 for word in words)})\nCOMP_CWORD={len(words) - 1}\n"
        'f=$(complete -p text-classifier | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
        '$f text-classifier\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{installed.command.parent}:{os.environ['PATH']}"
    settings = environment(PATH=path, HOME=str(tmp_path), SHELL="/bin/bash")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=settings, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == expected, done.stderr


def test_each_way_of_calling_names_a_command_that_there_is() -> None:
    known = {f"{COMMAND} {' '.join(call)}".strip() for call in CALLS}
    assert {form for form in FORMS.values() if form.startswith(COMMAND + " ")} <= known
    text = "run `make up`, or python -m export diff A B; python -m gateway.batch in out. See python -m training."
    assert in_one_command(text) == (
        "run `text-classifier serve`, or text-classifier version diff A B; text-classifier score in out. "
        "See text-classifier train."
    )


def test_the_extras_that_are_named_are_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {extra for entry in (*COMMANDS.values(), *VERSION_COMMANDS.values()) for extra in entry.extra.split(",")}
    assert {*named, *EXTRAS.values()} - {""} <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("text", ["python -m launcher.publish", "python -m server.preflight", "make upgrade"])
def test_what_only_begins_like_a_program_keeps_its_name(text: str) -> None:
    assert in_one_command(text) == text
