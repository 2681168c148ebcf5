"""A benchmark ends with status 1 where it measured less than is promised, and says so, a line a promise."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.commands import soak as soak_command
from benchmarks.commands import trials as trials_command
from benchmarks.measure.soak.run import Soak
from benchmarks.measure.soak.traffic import Counts
from benchmarks.measure.trials.run import HalfLoad, Trials
from benchmarks.report.promises import promises_of, told
from launcher.promises.slo import SLO_FILE
from tests.places import ROOT


def command(function: Any) -> typer.Typer:
    app = typer.Typer()
    app.command()(function)
    return app


def run_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str, **found: Any) -> Any:
    """The command over figures that were measured before."""

    def measured(soak: Soak, *_: object) -> None:
        for name, value in found.items():
            setattr(soak, name, value)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(soak_command, "run_soak", measured)
    return CliRunner().invoke(command(soak_command.soak), ["--results", str(tmp_path / "results"), *options])


FAST = {"counts": Counts(texts=2000), "swap_s": [3.0, 4.5], "recovery_s": [2.5, 3.5]}
SLOW = {**FAST, "swap_s": [3.0, 31.0]}


def test_a_soak_that_keeps_every_promise_says_so_and_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_soak(tmp_path, monkeypatch, "--promises", str(SLO_FILE), **FAST)
    assert done.exit_code == 0, done.output
    told_lines = [line for line in done.output.splitlines() if line.startswith("promise ")]
    assert told_lines == [
        "promise kept: availability, 0 where 0.001 is promised",
        "promise kept: swap, 4.5 s where 30 s is promised",
        "promise kept: recovery, 3.5 s where 30 s is promised",
    ]
    assert "4.5 s at most" in done.output


def test_a_soak_that_misses_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_soak(tmp_path, monkeypatch, "--promises", str(SLO_FILE), **SLOW)
    assert done.exit_code == 1
    assert "promise missed: swap, 31 s where 30 s is promised" in done.output


def test_the_promises_of_the_checkout_are_those_that_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "slo.yaml").write_text(SLO_FILE.read_text().replace("at_most: 30", "at_most: 1"))
    done = run_soak(tmp_path, monkeypatch, **FAST)
    assert done.exit_code == 1
    assert "promise missed: recovery, 3.5 s where 1 s is promised" in done.output


def test_without_a_file_nothing_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_soak(tmp_path, monkeypatch, **SLOW)
    assert done.exit_code == 0, done.output
    assert "promise" not in done.output


def test_a_file_that_cannot_be_read_ends_a_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_soak(tmp_path, monkeypatch, "--promises", str(tmp_path / "none.yaml"), **FAST)
    assert done.exit_code == 2
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("p99_ms", "status", "line"), [
    (40.0, 0, "promise kept: latency, 41 ms where 500 ms is promised"),
    (700.0, 1, "promise missed: latency, 701 ms where 500 ms is promised"),
])  # fmt: skip
def test_trials_hold_p99_at_half_load_against_what_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, p99_ms: float, status: int, line: str
) -> None:
    def measured(trials: Trials, *_: object) -> None:
        trials.counts = Counts(texts=1000)
        trials.half_load = HalfLoad(100.0, [p99_ms, p99_ms + 1], [p99_ms, p99_ms + 1], 10)

    monkeypatch.setattr(trials_command, "run_trials", measured)
    monkeypatch.setattr(trials_command, "published", lambda: (None, 1))
    options = ["--results", str(tmp_path / "results"), "--promises", str(SLO_FILE)]
    options += ["--data", str(ROOT / "data" / "public_maps.csv"), "--sentences", "1"]
    done = CliRunner().invoke(command(trials_command.trials), options)
    assert done.exit_code == status, done.output
    assert line in done.output
    assert "promise kept: availability, 0 where 0.001 is promised" in done.output


def test_one_request_in_a_hundred_that_fails_is_more_than_may() -> None:
    lines: list[str] = []
    found = Soak(counts=Counts(texts=200, failed=1, wrong=1))
    (verdict,) = told(promises_of(SLO_FILE), found.figures(), lines.append)
    assert not verdict.is_kept
    assert lines == ["promise missed: availability, 0.01 where 0.001 is promised"]
    assert Soak().figures() == {}
