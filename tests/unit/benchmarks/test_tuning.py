"""The best setting is one that keeps the budget, and what is printed puts it in force."""

import shlex
from pathlib import Path

import pytest

from benchmarks.measure.tuning import (
    MOST_CONFIRMED,
    Grid,
    Setting,
    Trial,
    best_within,
    confirm_within,
    current_setting,
    gain,
    paired_ratios,
    pareto_front,
)
from benchmarks.report.plots import plot_tuning
from repository.__main__ import app
from repository.config import ModelConfig, parse_config, with_changes
from repository.manifest import RepositoryError
from repository.store import ModelStore

SLOW = Trial(Setting(triton_calls=2), 100.0, 5.0, 10.0)
FAST = Trial(Setting(triton_calls=4), 300.0, 50.0, 90.0)
BEATEN = Trial(Setting(triton_calls=5), 200.0, 60.0, 95.0)
LATE = Trial(Setting(triton_calls=8), 400.0, 90.0, 500.0)
FAILED = Trial(Setting(triton_calls=9), problem="it did not start")
TRIALS = [LATE, SLOW, FAILED, BEATEN, FAST]


def test_every_value_is_tried_with_every_other() -> None:
    settings = Grid((1, 2), (0, 1), (64,), (0, 500), (3,), (256,)).settings()
    assert len(settings) == len(set(settings)) == 8


def test_the_best_is_the_fastest_that_keeps_the_budget() -> None:
    assert best_within(TRIALS, 100) is FAST
    assert best_within(TRIALS, 1000) is LATE
    assert best_within(TRIALS, 1) is None
    assert best_within([FAILED], 1000) is None


def test_the_front_holds_what_no_other_beats_in_both(tmp_path: Path) -> None:
    assert pareto_front(TRIALS) == [LATE, FAST, SLOW]
    plot_tuning(TRIALS, pareto_front(TRIALS), 100, tmp_path / "tune.png")
    assert (tmp_path / "tune.png").read_bytes().startswith(b"\x89PNG")


def test_pairs_of_which_one_failed_do_not_count() -> None:
    assert paired_ratios([(FAST, SLOW), (FAST, FAILED), (SLOW, SLOW)]) == [1.0, 3.0]
    assert gain([]) == "not confirmed: no pair was measured"
    assert gain([1.0, 1.5, 3.0]) == "1.50 times the throughput (1.00 … 3.00)"


def test_a_setting_that_misses_the_budget_the_second_time_makes_room_for_the_next() -> None:
    current = Setting(triton_calls=1)
    asked: list[Setting] = []

    def measure(settings: list[Setting]) -> list[Trial]:
        asked.extend(settings)
        late = {FAST.setting: 130.0}  # 90 ms was luck
        return [Trial(setting, 200.0, 5.0, late.get(setting, 50.0)) for setting in settings]

    first, second = confirm_within(TRIALS, 100, current, 3, measure)
    assert (first.setting, first.p99_ms) == (FAST.setting, 130.0)
    assert (second.setting, second.p99_ms, second.ratios) == (BEATEN.setting, 50.0, [1.0, 1.0, 1.0])
    assert asked == [FAST.setting, current] * 3 + [BEATEN.setting, current] * 3  # and nothing after it


def test_what_is_in_force_is_not_measured_beside_itself_and_confirming_ends() -> None:
    def measure(settings: list[Setting]) -> list[Trial]:
        return [Trial(setting, problem="it did not start") for setting in settings]

    assert list(confirm_within(TRIALS, 100, FAST.setting, 3, measure)) == []
    many = [Trial(Setting(triton_calls=calls), 100.0, 5.0, 10.0) for calls in range(1, 12)]
    found = list(confirm_within(many, 100, Setting(triton_calls=99), 1, measure))
    assert len(found) == MOST_CONFIRMED
    assert all(again.p99_ms == float("inf") and again.ratios == [] for again in found)


def test_the_commands_that_are_printed_put_the_setting_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(tmp_path, "classifier")
    store.folder.mkdir()
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    wanted = Setting(2, 1, 32, 500, 4, 512)
    command, *exports = wanted.commands.splitlines()
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path))
    arguments = shlex.split(command)
    assert arguments[:3] == ["python", "-m", "repository"]
    app(arguments[3:], standalone_mode=False)
    environment = dict(line.removeprefix("export ").split("=") for line in exports)
    assert current_setting(store, environment) == wanted


def test_a_changed_config_keeps_what_was_not_named() -> None:
    text = ModelConfig("classifier", pinned=3, tensorrt=True, threads=2).to_pbtxt()
    by_hand = f'{text}\nmetric_tags {{ key: "team" value: "maps" }}\n'
    changed = with_changes(by_hand, {"max_batch_size": 4, "queue_delay_us": 100})
    config = parse_config(changed)
    assert (config.max_batch_size, config.queue_delay_us, config.threads, config.pinned) == (4, 100, 2, 3)
    assert config.tensorrt
    assert "maps" in changed
    assert "batch_size: 8" not in changed, "the warm-up must fit the largest batch"
    assert parse_config(with_changes(changed, {"threads": 0})).threads == 0


@pytest.mark.parametrize("changes", [{"max_batch_size": 0}, {"instance_count": 0}])
def test_a_value_out_of_range_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(RepositoryError, match="must be at least 1"):
        with_changes(ModelConfig("classifier").to_pbtxt(), changes)
