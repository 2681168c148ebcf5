"""Every JSON that is written is JSON for every reader: no NaN, no Infinity; and nothing is lost of what is read."""

import ast
import json

import pytest
from pydantic import BaseModel

from repository.strict_json import StrictJsonError, read_strict_json, strict_json
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


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 2**200, 1.5, -1e308, 1e-320, "é\u2028", [], {}, {"a": [{"a": 1}, {"a": 1.0}]}]
)
def test_what_is_read_can_be_written_again(value: object) -> None:
    found = read_strict_json(json.dumps(value))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON (Expecting value, column 1)"),
        ('{"a": 1,\n "b"}', "is not JSON (Expecting ':' delimiter, line 2, column 5)"),
        ('[{"a": 1, "b": 2, "a": 1}]', "has the key a twice in one object"),
        (f'{{"{"a" * 99}": 1, "{"a" * 99}": 2}}', f"has the key {'a' * 40} twice in one object"),
        ("[NaN]", "holds NaN, which is no JSON"),
        ("-Infinity", "holds -Infinity, which is no JSON"),
        ("[-51e999]", "holds -51e999, which is too large for a number"),
        (f"[{'9' * 400}.0]", f"holds {'9' * 40}, which is too large for a number"),
        (f"[{'9' * 5000}]", "holds a whole number of more digits than can be read"),
        ("[" * 100_000, "is JSON of more levels than can be read"),
    ],
)
def test_what_is_refused_is_said_in_short(text: str, reason: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        read_strict_json(text)
    assert str(caught.value) == reason
