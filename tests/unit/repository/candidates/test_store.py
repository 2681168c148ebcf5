"""Candidates in a repository: published beside what answers, decided once, and never in the way of what answers."""

import threading
from pathlib import Path

import pytest

from repository.candidates.deciding import decide, delete_rejected, end
from repository.candidates.tally import Agreement, Tally
from repository.candidates.trial import Plan, Rule, state_name
from repository.manifest import RepositoryError
from repository.store import ModelStore
from tests.version_folders import write_version


@pytest.fixture
def store(tmp_path: Path, exported: Path) -> ModelStore:
    """Versions 1 and 2 answer."""
    store = ModelStore(tmp_path / "repository", "classifier")
    store.publish(exported)
    store.publish(exported)
    return store


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})


def test_a_candidate_is_known_as_one_before_its_folder_is_there(
    store: ModelStore, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there_at_writing = []
    write = ModelStore._write_trials

    def watched(self: ModelStore, trials: object) -> None:
        there_at_writing.append(self.numbers())
        write(self, trials)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelStore, "_write_trials", watched)
    assert store.publish(exported, plan=Plan()) == 3
    assert there_at_writing == [[1, 2]]
    assert store.answering() == [1, 2]


def test_the_record_lies_beside_the_model_whose_folder_triton_watches(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan())
    assert (store.folder.parent / state_name("classifier")).is_file()
    assert not [path for path in store.folder.iterdir() if "candidate" in path.name]


def test_a_publisher_who_is_killed_leaves_the_number_to_nobody_who_would_be_taken_for_a_candidate(
    store: ModelStore, exported: Path
) -> None:
    store._remember(3)
    store.change_trials(lambda trials: trials.begun(3, Plan()))  # and no version follows
    assert store.publish(exported) == 4
    assert store.answering() == [1, 2, 4]
    assert store.publish(exported, plan=Plan()) == 5
    assert [(trial.version, trial.outcome) for trial in store.trials().trials] == [(3, "rejected"), (5, None)]


def test_a_publisher_who_is_interrupted_leaves_no_trial(
    store: ModelStore, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda self, to: killed() if to.name == "3" else self.replace(to))
        with pytest.raises(KeyboardInterrupt):
            store.publish(exported, plan=Plan())
    assert store.trials().running is None
    assert store.publish(exported) == 4
    assert store.answering() == [1, 2, 4]


def test_without_a_version_that_answers_there_is_nothing_to_try_one_against(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(RepositoryError, match="no version of classifier answers yet"):
        ModelStore(tmp_path / "empty", "classifier").publish(exported, plan=Plan())


def test_nothing_is_published_over_a_trial(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan())
    for publish in (lambda: store.publish(exported), lambda: store.rollback(1), lambda: store.republish(1)):
        with pytest.raises(RepositoryError, match="version 3 is on trial"):
            publish()
    assert store.numbers() == [1, 2, 3]


def test_a_rejected_version_is_deleted_and_the_reason_stays(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan())
    assert end(store, 3, "rejected", "it is slow").reason == "it is slow"
    assert store.numbers() == [1, 2]
    assert end(store, 3, "promoted", "too late").reason == "it is slow"
    assert store.publish(exported) == 4


def test_what_a_decider_who_was_killed_has_left_is_deleted_later(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan())
    store.change_trials(lambda trials: trials.ended(3, "rejected", "it is slow"))
    assert store.answering() == [1, 2]
    delete_rejected(store, store.trials().trials[-1])
    delete_rejected(store, store.trials().trials[-1])
    assert store.numbers() == [1, 2]


def test_retracting_a_candidate_ends_its_trial(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan())
    store.retract(3)
    assert store.trials().running is None
    assert store.trials().trials[-1].reason == "retracted by hand"


def test_pruning_counts_versions_that_answer(store: ModelStore, exported: Path) -> None:
    store.publish(exported)
    store.publish(exported, plan=Plan())
    assert store.prune(2) == [1]
    assert store.numbers() == [2, 3, 4]


def test_a_rollback_takes_a_promoted_version_for_the_current_one_and_a_rejected_one_for_none(
    store: ModelStore, tmp_path: Path
) -> None:
    other = write_version(tmp_path / "other", {"red": "Colour", "two": "Number"})
    store.publish(other, plan=Plan())
    end(store, 3, "promoted", "by hand")
    assert store.rollback() == (2, 4)


def test_of_many_who_decide_at_the_same_moment_one_does(store: ModelStore, exported: Path) -> None:
    store.publish(exported, plan=Plan(rule=Rule(after=100, agreement=0.9)))
    failed = Tally(version=3, against=2, overall=Agreement(compared=500, agreed=500), failure="it gave NaN")
    outcomes, start = [], threading.Barrier(8)

    def decider(number: int) -> None:
        mine = ModelStore(store.folder.parent, "classifier")
        start.wait()
        outcomes.append(end(mine, 3, "promoted" if number % 2 else "rejected", f"by {number}"))

    threads = [threading.Thread(target=decider, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    assert len({(trial.outcome, trial.reason) for trial in outcomes}) == 1
    assert (3 in store.numbers()) == (outcomes[0].outcome == "promoted")
    assert decide(store, failed) is None
