"""Processes add up what they count, and those that may only read the repository leave the decision to others."""

import errno
import logging
from pathlib import Path

import pytest

from gateway.candidates.ledger import Ledger
from gateway.settings import GatewaySettings
from repository.candidates.deciding import decide
from repository.candidates.tally import Agreement, Tally
from repository.candidates.trial import Plan, Rule, require_running
from repository.store import ModelStore
from tests.version_folders import write_version

RULE = Rule(after=100, agreement=0.9, latency_ratio=1.5, errors=0)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Version 2 is on trial beside version 1."""
    store = ModelStore(tmp_path / "repository", "classifier")
    exported = write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})
    store.publish(exported)
    store.publish(exported, plan=Plan(rule=RULE))
    return store


def ledger_of(store: ModelStore, **settings: Path) -> Ledger:
    return Ledger(GatewaySettings(model_repository=store.folder.parent, **settings))  # type: ignore[arg-type]


def tally(process: str, compared: int, **more: object) -> Tally:
    found = Tally(version=2, against=1, process=process * 16, overall=Agreement(compared=compared, agreed=compared))
    return found.model_copy(update={"ratios": {0: compared}, "timed": compared, **more})


def test_processes_are_added_up_each_once_and_the_dead_are_counted(store: ModelStore) -> None:
    one, two = ledger_of(store), ledger_of(store)
    one.add_up(2, 1, tally("1", 30))
    counted, files = two.add_up(2, 1, tally("2", 5))
    assert (counted.overall.compared, files) == (35, 2)
    counted, files = ledger_of(store).add_up(2, 1, None)
    assert (counted.overall.compared, files) == (35, 3)
    counted, _ = two.add_up(2, 1, tally("2", 50))
    assert counted.overall.compared == 80


def test_a_decision_is_made_once_and_what_was_counted_goes(store: ModelStore) -> None:
    trial = require_running(store.trials())
    one, two = ledger_of(store), ledger_of(store)
    counted, _ = one.add_up(2, 1, tally("1", 150))
    ended = one.decide(trial, counted)
    assert ended is not None
    assert ended.outcome == "promoted"
    assert two.decide(trial, counted) is None
    assert store.answering() == [1, 2]
    assert not list(store.folder.parent.glob(".candidate-classifier.2.*"))


def test_a_gateway_that_may_only_read_leaves_the_decision_to_a_command(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    trial = require_running(store.trials())
    ledger = ledger_of(store, candidate_state=tmp_path / "elsewhere")
    counted, _ = ledger.add_up(2, 1, tally("1", 3, failure="it gave NaN"))
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(ModelStore, "change_trials", read_only)
        assert ledger.decide(trial, counted) is None
        assert ledger.decide(trial, counted) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert "`python -m repository promote --by-rule` does it: Read-only file system" in line
    ended = decide(store, counted)
    assert ended is not None
    assert (ended.outcome, ended.reason) == ("rejected", "it gave NaN")


def test_where_counts_cannot_be_kept_each_process_tells_of_its_own(
    store: ModelStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    ledger = ledger_of(store, candidate_state=tmp_path / "file" / "below")
    with caplog.at_level(logging.ERROR):
        counted, files = ledger.add_up(2, 1, tally("1", 7))
    assert (counted.overall.compared, files) == (7, 1)
    assert "What is counted of the candidate is known to this process alone" in caplog.text
