"""Where an extra is not installed, one line says which, whichever command is called; nothing ends in a traceback."""

import re
from pathlib import Path

import pytest

from launcher.licenses import needed_by
from tests.wheels import Installed, install
from text_classifier.commands import COMMANDS

CALLS = {
    "train": ["train"],
    "distill": ["distill", "--teacher", "."],
    "evaluate": ["evaluate", "."],
    "export": ["export", "."],
    "publish": ["publish", "."],
    "diff": ["version", "diff", ".", "."],
    "serve": ["serve"],
    "gateway": ["gateway"],
    "score": ["score", "data.csv", "scored.csv"],
    "bench": ["bench", "limit"],
}
LINE = re.compile(
    r"Error: the package (\w+) is not installed: pip install 'text-classifier-server\[([a-z,0-9]+)\]' brings it\n"
)


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel as `pip install text-classifier-server` installs it: beside what it always needs, and no extra."""
    folder = tmp_path_factory.mktemp("base")
    for distribution in needed_by([]):
        for name in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
            place = folder / name
            if not place.exists():
                place.symlink_to(Path(str(distribution.locate_file(name))))
    return install(wheel, tmp_path_factory.mktemp("bare"), [folder])


@pytest.mark.parametrize("name", CALLS)
def test_one_line_names_the_extra(bare: Installed, tmp_path: Path, name: str) -> None:
    (tmp_path / "data.csv").write_text("text,label\ngood,yes\n")
    done = bare.run(*CALLS[name], cwd=tmp_path, NO_COLOR="1")
    assert done.returncode == 2, done.stderr
    assert LINE.fullmatch(done.stderr), done.stderr


def test_what_needs_no_extra_works(bare: Installed, tmp_path: Path) -> None:
    for arguments in (["--help"], ["--version"], ["triton", "check"]):
        done = bare.run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_the_names_are_listed_whatever_is_installed(bare: Installed, tmp_path: Path) -> None:
    shown = bare.run("--help", cwd=tmp_path).stdout
    assert all(f" {name} " in shown for name in COMMANDS)
