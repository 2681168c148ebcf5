"""An older version answers again: rolled back to, left over, pinned, under load and in every worker."""

import contextlib
import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.store import ModelStore
from tests.integration.stack import Stack
from tests.integration.swapping import (
    SWAP_S,
    assert_undisturbed,
    manage,
    new_store,
    own_answers,
    samples,
    serving,
    state_of,
    traffic_at,
    until_answered,
    write_model,
)
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


def test_a_rollback_answers_with_the_older_content_under_a_new_number(store: ModelStore, tmp_path: Path) -> None:
    store.publish(write_model(tmp_path / "v2", 1, seed=2))
    own = {number: own_answers(store.folder / str(number)) for number in (1, 2)}
    own[3] = own[1]
    with serving(store) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 2)
            manage(store, "rollback")
            until_answered(traffic, 3)
        assert_undisturbed(traffic, own, stack)
    assert traffic.versions == {2, 3}


def test_the_version_before_takes_over_when_the_current_one_is_retracted(store: ModelStore, tmp_path: Path) -> None:
    store.publish(write_model(tmp_path / "v2", 1, seed=2))
    own = {number: own_answers(store.folder / str(number)) for number in (1, 2)}
    with serving(store) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 2)
            manage(store, "retract", "2")
            until_answered(traffic, 1)
            wait_until(lambda: state_of(stack, 2)[0] == "gone", SWAP_S, "version 2 is forgotten")
        assert_undisturbed(traffic, own, stack)


def test_a_pin_holds_while_versions_are_published_and_its_end_lets_the_newest_answer(
    store: ModelStore, tmp_path: Path
) -> None:
    exported = {number: write_model(tmp_path / f"v{number}", number - 1, number) for number in (2, 3, 4)}
    own = {number: own_answers(folder) for number, folder in {1: store.folder / "1", **exported}.items()}
    store.publish(exported[2])
    with serving(store) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 2)
            manage(store, "pin", "1")
            until_answered(traffic, 1)
            for number in (3, 4):
                store.publish(exported[number])
                time.sleep(2)
            assert traffic.versions == {1, 2}
            manage(store, "unpin")
            until_answered(traffic, 4)
        assert_undisturbed(traffic, own, stack)


def test_the_setting_model_version_holds_while_triton_serves_that_version(store: ModelStore, tmp_path: Path) -> None:
    own = {1: own_answers(store.folder / "1")}
    with serving(store, MODEL_VERSION="1") as stack:
        with traffic_at(stack) as traffic:
            store.publish(write_model(tmp_path / "v2", 1, seed=2))
            wait_until(lambda: state_of(stack, 2)[0] == "ready", SWAP_S, "Triton serves version 2")
            time.sleep(1)
            assert state_of(stack, 1)[0] == "current"
        assert traffic.versions == {1}
        assert_undisturbed(traffic, own, stack)
        store.publish(write_model(tmp_path / "v3", 1, seed=3))  # Triton keeps two
        wait_until(lambda: stack.classify("word1").status_code == 503, SWAP_S, "version 1 is gone")
        wait_until(lambda: "version 1, which is pinned" in stack.classify("word1").json()["error"], 5, "it says why")


def worker_of(stack: Stack, connection: http.client.HTTPConnection) -> int:
    """The process at the other end of a connection."""
    gateway, ours = stack.ports["GATEWAY_PORT"], connection.sock.getsockname()[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = {tuple(int(end.rpartition(":")[2], 16) for end in row[1:3]): row[9] for row in rows}
    name = f"socket:[{ends[gateway, ours]}]"
    return next(process for process in stack.processes() if name in descriptors(process))


def descriptors(process: int) -> Iterator[str]:
    """What a process has open."""
    with contextlib.suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # it was closed
                yield str(descriptor.readlink())


def get(connection: http.client.HTTPConnection, target: str) -> tuple[str | None, str]:
    """The version that answered, if one did, and the body."""
    connection.request("GET", target)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.headers["x-model-version"], answer.read().decode()


@contextlib.contextmanager
def connection_to_each_worker(stack: Stack, workers: int) -> Iterator[list[http.client.HTTPConnection]]:
    """Fresh connections, until each worker has answered on one."""
    found: dict[int, http.client.HTTPConnection] = {}
    with contextlib.ExitStack() as opened:
        for _ in range(500):
            connection = http.client.HTTPConnection("127.0.0.1", stack.ports["GATEWAY_PORT"], timeout=60)
            opened.callback(connection.close)
            get(connection, "/health/live")
            found.setdefault(worker_of(stack, connection), connection)
            if len(found) == workers:
                yield list(found.values())
                return
    pytest.fail(f"only workers {set(found)} answered")


def test_two_workers_both_follow_a_swap_and_each_reports_the_counts_of_both(store: ModelStore, tmp_path: Path) -> None:
    good = write_model(tmp_path / "v2", 1, seed=2)
    own = {1: own_answers(store.folder / "1"), 2: own_answers(good)}
    with serving(store, WORKERS="2") as stack, connection_to_each_worker(stack, 2) as connections:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            store.publish(good)
            for connection in connections:
                wait_until(lambda c=connection: current_version(c) == 2, SWAP_S, "each worker has version 2")  # type: ignore[misc]
        assert_undisturbed(traffic, own, stack)
        assert traffic.went_back == 0
        for connection in connections:
            assert get(connection, "/classify?sentence=word1")[0] == "2"
        sentences = sum(count * len(answer.question.sentences) for answer, count in traffic.answers.items())
        for connection in connections:
            wait_until(lambda c=connection: counted(c) == (traffic.asked + 2, sentences + 2), 5, "all is counted")  # type: ignore[misc]


def current_version(connection: http.client.HTTPConnection) -> float:
    """As the worker at the other end sees it."""
    return samples(get(connection, "/metrics")[1], "classifier_current_version")[frozenset()]


def counted(connection: http.client.HTTPConnection) -> tuple[float, float]:
    """Requests of /classify and sentences that were answered, in GET /metrics."""
    text = get(connection, "/metrics")[1]
    requests = samples(text, "classifier_requests_total")[frozenset({("route", "/classify"), ("status", "200")})]
    return requests, samples(text, "classifier_sentences_total")[frozenset()]
