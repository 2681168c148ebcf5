"""A command whose options are a dataclass is to its user what it would be with an argument for each of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from repository.console import Console
from repository.option_class import takes_option_class


@dataclass(frozen=True, kw_only=True)
class Shared:
    times: Annotated[int, typer.Option(min=1, help="How often.")] = 2


@dataclass(frozen=True, kw_only=True)
class Options(Shared):
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to read.")]
    words: Annotated[list[str] | None, typer.Option(help="Some words.")] = None
    loud: Annotated[bool, typer.Option("--loud", help="In capitals.")] = False

    def text(self) -> str:
        text = " ".join([self.file.name, *(self.words or ())] * self.times)
        return text.upper() if self.loud else text


app = typer.Typer()


@app.command()
@takes_option_class
def repeat(given: Options) -> None:
    """Say a file's name several times."""
    Console().print(given.text())


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "120", "TERM": "dumb"}).invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output


def test_the_command_gets_what_was_given_and_the_defaults_of_the_rest() -> None:
    assert run("a/b.csv") == "b.csv b.csv\n"
    assert run("a.csv", "--times", "1", "--words", "x", "--words", "y", "--loud") == "A.CSV X Y\n"


def test_what_is_missing_or_wrong_is_refused_before_the_command_runs() -> None:
    assert "Missing argument 'FILE'" in run(status=2)
    assert "'--times'" in run("a.csv", "--times", "0", status=2)


def test_help_tells_of_each_option_and_of_the_command() -> None:
    shown = run("--help")
    for said in ("Say a file's name several times.", "What to read.", "How often.", "[default: 2]", "Some words."):
        assert said in shown
