"""Every JSON that is written is JSON for every reader: no NaN, no Infinity."""

import ast
import json

import pytest
from pydantic import BaseModel

from repository.strict_json import strict_json
from tests.places import ROOT

PACKAGES = ("benchmarks", "export", "launcher", "pretrained", "repository", "server", "training")


def test_what_is_no_number_is_null_and_all_else_stays() -> None:
    value = {"a": [1.5, float("nan"), (float("inf"), "NaN")], "b": {"c": -float("inf"), "d": None, "é": True}}
    expected = {"a": [1.5, None, [None, "NaN"]], "b": {"c": None, "d": None, "é": True}}
    assert json.loads(strict_json(value), parse_constant=pytest.fail) == expected


def test_pydantic_writes_null_too() -> None:
    class Measured(BaseModel):
        figure: float

    assert Measured(figure=float("nan")).model_dump_json() == '{"figure":null}'


@pytest.mark.parametrize("package", PACKAGES)
def test_files_and_screen_get_json_by_the_strict_writer_alone(package: str) -> None:
    found = []
    for path in (ROOT / package).rglob("*.py"):
        if "alternatives/servers" in str(path) or path.name == "floor.py":  # programs of others' environments
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and (
                _name(call) == "json.dump" or (_name(call).endswith(("write_text", "write", "echo")) and _dumps(call))
            ):
                found.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert not found


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _dumps(call: ast.Call) -> bool:
    return any(isinstance(part, ast.Call) and _name(part) == "json.dumps" for part in ast.walk(call))
