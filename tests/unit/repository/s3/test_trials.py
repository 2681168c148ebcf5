"""Candidates in S3: the record of trials is changed by conditional writes alone, by as many as like."""

import asyncio
import threading
from pathlib import Path

import pytest

from gateway.candidates.state import S3State
from gateway.files import S3Files
from repository.bucket import AwayError
from repository.candidates.deciding import end
from repository.candidates.tally import Agreement, Tally
from repository.candidates.tally_place import S3Tallies
from repository.candidates.trial import Plan, Trials, state_name
from repository.location import S3Location
from repository.manifest import MANIFEST_FILE, RepositoryError
from repository.s3_store import S3Store
from tests.s3_server import S3Server


def test_a_candidate_is_published_beside_what_answers_and_decided(
    store: S3Store, location: S3Location, server: S3Server, exported: Path
) -> None:
    store.publish(exported)
    assert store.trials() == Trials()
    assert store.publish(exported, plan=Plan(canary=0.1)) == 2
    assert store.answering() == [1]
    assert f"{location.prefix}/{state_name('classifier')}" in server.keys(f"{location.prefix}/.candidate")
    for plan in (None, Plan()):
        with pytest.raises(RepositoryError, match="version 2 is on trial"):
            store.publish(exported, plan=plan)
    assert end(store, 2, "rejected", "it is slow").outcome == "rejected"
    assert store.numbers() == [1]
    assert store.publish(exported, plan=Plan()) == 3
    end(store, 3, "promoted", "by hand")
    assert store.answering() == [1, 3]


def test_an_upload_that_fails_ends_its_trial(store: S3Store, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.publish(exported)
    write = store._bucket.write

    def cut_off(name: str, content: bytes, **condition: str) -> None:
        if name.endswith(MANIFEST_FILE):
            raise OSError("the cable is out")
        write(name, content, **condition)

    with monkeypatch.context() as patched:
        patched.setattr(store._bucket, "write", cut_off)
        with pytest.raises(OSError, match="cable"):
            store.publish(exported, plan=Plan())
    assert store.trials().running is None
    assert store.publish(exported, plan=Plan()) == 3


def test_of_many_who_decide_at_the_same_moment_one_does(store: S3Store, exported: Path, location: S3Location) -> None:
    store.publish(exported)
    store.publish(exported, plan=Plan())
    outcomes, start = [], threading.Barrier(6)

    def decider(number: int) -> None:
        mine = S3Store(location, "classifier")
        start.wait()
        outcomes.append(end(mine, 2, "promoted" if number % 2 else "rejected", f"by {number}"))

    threads = [threading.Thread(target=decider, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert len({(trial.outcome, trial.reason) for trial in outcomes}) == 1


def test_tallies_are_read_again_only_when_they_changed(location: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def tally(compared: int) -> Tally:
        return Tally(version=4, against=3, overall=Agreement(compared=compared, agreed=compared))

    mine, others = S3Tallies(location, "m"), S3Tallies(location, "m")
    mine.write(4, "0" * 16, tally(1))
    others.write(4, "f" * 16, tally(5))
    assert sorted(each.overall.compared for each in mine.read(4)) == [1, 5]
    asked = []
    read = mine._bucket.read
    monkeypatch.setattr(mine._bucket, "read", lambda name: (asked.append(name), read(name))[1])
    others.write(4, "f" * 16, tally(7))
    assert sorted(each.overall.compared for each in mine.read(4)) == [1, 7]
    assert asked == [f".candidate-m.4.{'f' * 16}.json"]
    mine.clear(4)
    assert others.read(4) == []


def test_a_gateway_knows_of_a_candidate_before_it_may_be_current_and_while_s3_is_away(
    store: S3Store, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "classifier"
    store.publish(exported)
    state = S3State(store, cache)
    assert not set(asyncio.run(state.not_to_answer({1})))
    store.publish(exported, plan=Plan())
    assert set(asyncio.run(state.not_to_answer({1, 2}))) == {2}, "Triton has it before the gateway looked"
    files = S3Files(store, cache, 5.0)
    files.look({1, 2})

    def away() -> Trials:
        raise AwayError("no cable")

    monkeypatch.setattr(store, "trials", away)
    assert set(asyncio.run(S3State(store, cache).not_to_answer({1, 2}))) == {2}, "as it was kept"
    assert set(asyncio.run(S3State(store, cache).not_to_answer({1, 2, 3}))) == {2, 3}, "nobody knows what 3 is"
