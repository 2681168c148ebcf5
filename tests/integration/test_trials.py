"""`python -m benchmarks trials`: one short round against a real service, with every kind of step in it."""

from pathlib import Path

import pytest

from benchmarks.measure.trials import run
from benchmarks.measure.trials.run import PAIRS, Extent, Trials, run_trials
from tests.integration.gateways import publish
from tests.version_folders import write_version

SENTENCES = [f"cat{' oak' * number}" for number in range(12)] + ["oak", "oak cat oak"]
STEPS = {
    "promoted by its rule": 1,
    "answered a share": 1,
    "rejected by its rule": 1,
    "beside the current one": 1,
    "promoted by hand": 1,
    "swapped": 1,
}


def test_a_round_of_trials_costs_no_answer_and_makes_none_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SETTLE_S", 0.1)  # times mean nothing here
    version = write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"}, weight=1.0)
    store = publish(tmp_path / "published", "classifier", version)
    found, told = Trials(), []
    extent = Extent(seconds=0.1, connections=8, measured_s=1.0)
    folder = tmp_path / "work"
    folder.mkdir()
    run_trials(found, (store, 1), SENTENCES, folder, extent, told.append)
    assert found.failures() == []
    assert found.steps == STEPS
    assert found.counts.texts > 100
    assert found.feedback.taken > 0
    assert found.half_load is not None
    assert len(found.half_load.with_p99_ms) == len(found.half_load.without_p99_ms) == PAIRS
    assert store.numbers() == [1], "nothing is written to the model's own repository"
    assert told
