"""Jobs on the disk: there whole or not at all, held by one, gone as a whole."""

import os
import time
from pathlib import Path

import pytest

from gateway.errors import JobsFullError
from gateway.jobs.record import JobRecord, JobState
from gateway.jobs.store import INPUT, JobStore

JOB = "0" * 31 + "1"


def record_of(job: str = JOB) -> JobRecord:
    return JobRecord(id=job, model="m", created=1.0, owner="", digest="d", format="csv", size_bytes=1)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs", 2, 1000)


def keep(store: JobStore, job: str = JOB) -> bool:
    with store.incoming(job) as aside:
        (aside / INPUT).write_bytes(b"text\n")
        return store.publish(aside, record_of(job))


def test_a_job_is_there_once_it_is_published_and_once(store: JobStore) -> None:
    with store.incoming("x") as aside:
        (aside / INPUT).write_bytes(b"text\n")
        assert store.ids() == []
    assert list(store.folder.iterdir()) == []
    assert keep(store)
    assert not keep(store)
    assert store.ids() == [JOB]
    assert store.record(JOB) == record_of()
    assert store.state(JOB) == JobState()
    assert store.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", ".", "..", "../jobs", "x" * 32, "0" * 33, f"{JOB}/", f"{JOB}\n"])
def test_no_name_leads_out_of_the_folder(store: JobStore, name: str) -> None:
    keep(store)
    assert store.record(name) is None


def test_one_holds_a_job_and_others_do_not(store: JobStore) -> None:
    keep(store)
    with store.holding(JOB) as held, store.holding(JOB) as second:
        assert held
        assert not second
    with store.slot(1) as free, store.slot(1) as other:
        assert free
        assert not other
    with store.slot(2) as free, store.slot(2) as other, store.slot(2) as third:
        assert (free, other, third) == (True, True, False)


def test_a_job_that_is_run_is_deleted_by_who_comes_after(store: JobStore) -> None:
    keep(store)
    with store.holding(JOB):
        store.delete(JOB)
        assert store.record(JOB) is None  # for callers it is gone
        assert store.is_cancelled(JOB)
        assert store.ids() == [JOB]
    store.sweep(3600)
    assert store.ids() == []
    assert [path.name for path in store.folder.iterdir() if not path.name.startswith(".slot")] == []


def test_a_cancelled_job_says_so_before_who_runs_it_has_noticed(store: JobStore) -> None:
    keep(store)
    store.write_state(JOB, JobState(state="running", started=1.0))
    store.cancel(JOB)
    assert store.state(JOB).state == "cancelled"
    with store.holding(JOB):
        store.sweep(3600)
        assert store.state(JOB).finished is None
        assert store.path(JOB, INPUT).exists()
    store.sweep(3600)  # who ran it was killed
    assert store.state(JOB).finished is not None
    assert not store.path(JOB, INPUT).exists()
    store.write_state(JOB, JobState(state="done", started=1.0, finished=2.0))
    assert store.state(JOB).state == "done"


def test_what_was_kept_for_long_enough_goes_and_what_waits_stays(store: JobStore) -> None:
    keep(store)
    store.sweep(0.0)
    assert store.ids() == [JOB]
    store.write_state(JOB, JobState(state="done", finished=time.time() - 10))
    store.sweep(3600)
    assert store.ids() == [JOB]
    store.sweep(5)
    assert store.ids() == []


def test_what_a_killed_gateway_was_taking_goes_and_what_is_being_taken_stays(store: JobStore) -> None:
    old = time.time() - 3600
    with store.incoming("held") as held:
        os.utime(held, (old, old))
        left = store.folder / ".new-left"
        left.mkdir()
        store.sweep(3600)
        assert left.exists()
        os.utime(left, (old, old))
        store.sweep(3600)
        assert held.exists()
        assert not left.exists()


def test_number_and_size_are_bounded(store: JobStore) -> None:
    keep(store)
    store.refuse_more(0, 1)
    keep(store, "0" * 31 + "2")
    with pytest.raises(JobsFullError, match="JOBS_KEPT"):
        store.refuse_more(0, 1)
    used = store.used_bytes()
    store.refuse_more(1000 - used)
    with pytest.raises(JobsFullError, match="JOBS_MAX_MB"):
        store.refuse_more(1001 - used)
