"""No file and no function is longer than can be read at one go."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.places import ROOT

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 50


def python_files() -> list[Path]:
    """Those that git tracks, and new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in sorted({ROOT / name for name in listed.split("\0") if name}) if path.is_file()]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From its `def`, which decorators stand before, to its last line."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert len(lengths) > 100
    assert {str(path): lines for path, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_too_long() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": lines_of(function)
        for path in python_files()
        for function in functions(path)
        if lines_of(function) > MOST_LINES_OF_A_FUNCTION
    }
    assert too_long == {}
