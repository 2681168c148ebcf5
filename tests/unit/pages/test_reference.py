"""The pages of docs/reference are those that the code gives."""

import re

import pytest

from launcher.reference.__main__ import FOLDER, PAGES
from launcher.reference.programs import all_commands
from tests.places import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_does(name: str) -> None:
    text = PAGES[name]()
    assert text == PAGES[name](), "the same code gives the same text"
    assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `make reference`"


def test_no_program_is_left_out() -> None:
    named = {
        name
        for folder in ROOT.iterdir()
        if (folder / "__init__.py").is_file() and folder.name != "tests"
        for path in folder.rglob("*.py")
        for name in re.findall(r'prog_name="(python -m [a-z.]+)"', path.read_text(encoding="utf-8"))
    }
    known = {" ".join(command.checkout.split()[:3]) for command in all_commands()}
    assert len(named) > 8
    assert named <= known


def test_every_command_and_every_argument_says_what_it_is_for() -> None:
    for command in all_commands():
        assert command.click.help, command.name
        for parameter in command.click.params:
            assert parameter.help or parameter.name == "help", f"{command.name} {parameter.name}"


def test_the_one_command_has_the_commands_of_the_page() -> None:
    commands = pytest.importorskip("text_classifier.commands", reason="the one command is not in this checkout")
    installed = [command.name.split()[1:] for command in all_commands() if command.is_installed]
    assert {words[0] for words in installed} == set(commands.COMMANDS)
    within = {words[1] for words in installed if words[0] == "version"}
    assert within == set(commands.VERSION_COMMANDS)
