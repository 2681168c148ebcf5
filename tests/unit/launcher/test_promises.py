"""Promises are read strictly, become rules for Prometheus, and are kept or missed."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher.promises.__main__ import RULES_FILE
from launcher.promises.rules import rules_of, rules_text
from launcher.promises.slo import SLO_FILE, Promises, PromisesError, read_promises
from launcher.promises.verdicts import verdicts

GOOD = yaml.safe_load(SLO_FILE.read_text(encoding="utf-8"))


def changed(**change: Any) -> dict[str, Any]:
    """The file with other values in its first promise."""
    first, *others = GOOD["promises"]
    kept = {name: value for name, value in {**first, **change}.items() if value is not None}
    return {**GOOD, "promises": [kept, *others]}


def test_the_rules_that_lie_there_are_those_of_the_promises() -> None:
    assert RULES_FILE.read_text(encoding="utf-8") == rules_text(read_promises()), "run `python -m launcher.promises`"


def test_four_things_are_promised() -> None:
    assert [promise.name for promise in read_promises().promises] == ["availability", "latency", "swap", "recovery"]


def test_alerts_look_at_the_windows_of_the_workbook() -> None:
    (group,) = [group for group in rules_of(read_promises())["groups"] if group["name"] == "promise-availability"]
    alerts = [rule for rule in group["rules"] if "alert" in rule]
    ratio = "classifier:availability_bad:ratio"
    assert [(rule["labels"]["severity"], rule["expr"]) for rule in alerts] == [
        ("critical", f"{ratio}1h > 14.4 * 0.001 and {ratio}5m > 14.4 * 0.001"),
        ("critical", f"{ratio}6h > 6 * 0.001 and {ratio}30m > 6 * 0.001"),
        ("warning", f"{ratio}1d > 3 * 0.001 and {ratio}2h > 3 * 0.001"),
        ("warning", f"{ratio}3d > 1 * 0.001 and {ratio}6h > 1 * 0.001"),
    ]


def test_a_shorter_window_is_used_up_sooner() -> None:
    rules = rules_text(Promises.model_validate({**GOOD, "window": "15d"}))
    assert "ratio1h > 7.2 * 0.001" in rules
    assert "bad:ratio15d" in rules
    assert "30d" not in rules


def test_every_series_that_a_rule_names_is_recorded_before_it() -> None:
    for group in rules_of(read_promises())["groups"]:
        known: set[str] = set()
        for rule in group["rules"]:
            named = {word for word in rule["expr"].replace("(", " ").replace("[", " ").split() if ":" in word}
            assert {word for word in named if word.startswith("classifier:")} <= known
            known.add(rule.get("record", ""))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "window"),
        ([], "file"),
        (None, "file"),
        ({**GOOD, "surprise": 1}, "surprise"),
        ({**GOOD, "window": "30h"}, "window"),
        ({**GOOD, "promises": []}, "promises"),
        ({**GOOD, "promises": GOOD["promises"][:1] * 2}, "same name"),
        (changed(name="Availability"), "promises.0.name"),
        (changed(objective=1), "objective"),
        (changed(objective=math.nan), "objective"),
        (changed(total=None), "go together"),
        (changed(bad="rate(x[1m])"), "[5m]"),
        (changed(at_most=0.01), "same promise"),
        (changed(figure="speed"), "figure"),
        (changed(figure="p99_ms", at_most=250), "p99"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_meant_is_refused_with_what_is_wrong(tmp_path: Path, content: object, named: str) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(PromisesError) as refused:
        read_promises(path)
    assert named in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"\x00", b"a: !!python/object:os.system x"])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "slo.yaml"
    path.write_bytes(content)
    with pytest.raises(PromisesError, match=r"slo\.yaml"):
        read_promises(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromisesError, match="No such file"):
        read_promises(tmp_path / "slo.yaml")


def test_a_figure_at_its_limit_keeps_a_promise_and_one_past_it_or_none_at_all_misses_it() -> None:
    promises = read_promises()
    found = verdicts(promises, {"failed_share": 0.0, "p99_ms": 500.0, "swap_s": 30.1, "recovery_s": math.nan})
    assert [(verdict.name, verdict.is_kept) for verdict in found] == [
        ("availability", True),
        ("latency", True),
        ("swap", False),
        ("recovery", False),
    ]
    assert str(found[1]) == "kept: latency, 500 ms where 500 ms is promised"
    assert str(found[2]) == "missed: swap, 30.1 s where 30 s is promised"


def test_what_was_not_measured_is_not_judged() -> None:
    assert verdicts(read_promises(), {}) == []
