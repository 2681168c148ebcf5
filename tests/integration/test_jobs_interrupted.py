"""Jobs go on: after a kill at any moment, through swaps of the model, and while sentences are asked beside them."""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repository.store import ModelStore
from tests.integration.gateways import Gateway, gateway_beside, running_gateway
from tests.integration.stack import Stack
from tests.integration.swapping import QUESTIONS, new_store, own_answers, write_model
from tests.waiting import wait_until

SENTENCES = sorted({sentence for question in QUESTIONS for sentence in question.sentences})
ROWS = 30_000
"""Of a job that is to be interrupted: more than a quick machine answers before that."""
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return new_store(tmp_path_factory.mktemp("interrupted"))


@pytest.fixture(scope="module")
def stack(store: ModelStore) -> Iterator[Stack]:
    with Stack(store.folder.parent, store.folder.parent.parent / "log", LOG_REQUESTS="false") as running:
        yield running


def table(count: int) -> str:
    rows = ({"text": SENTENCES[number % len(SENTENCES)]} for number in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows)


def begin(gateway: Gateway, count: int) -> str:
    answer = gateway.client.post("/jobs", content=table(count), headers=LINES)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def look(gateway: Gateway, job: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.client.get(f"/jobs/{job}").json()
    return found


def lines_of(gateway: Gateway, job: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.client.get(f"/jobs/{job}/result").text.splitlines()]


def assert_whole(lines: list[dict[str, Any]], own: dict[int, Any], count: int) -> None:
    """Every row is there once, in order, with the answer that the version gives which it names."""
    assert [line["index"] for line in lines] == list(range(count))
    assert [line["row"] for line in lines] == list(range(1, count + 1))
    wrong = [line for line in lines if not is_own(line, own)]
    assert not wrong, f"{len(wrong)} of {count}, such as {wrong[0]}"


def is_own(line: dict[str, Any], own: dict[int, Any]) -> bool:
    label, score = own[line["version"]][SENTENCES[line["index"] % len(SENTENCES)]]
    (found,) = line["answer"]
    return found["label"] == label and abs(found["score"] - score) <= 1e-6


def test_killed_at_any_moment_a_job_ends_with_every_row_once(stack: Stack, tmp_path: Path, store: ModelStore) -> None:
    chance = random.Random(1)
    env = {**stack.env, "JOBS": str(tmp_path / "jobs"), "LOG_REQUESTS": "false"}
    own = {1: own_answers(store.folder / "1")}
    job, seen = "", 0
    for kill in range(4):
        with running_gateway(env, tmp_path / f"{kill}.log") as gateway:
            if not job:
                job = begin(gateway, ROWS)
            wait_until(lambda: look(gateway, job)["rows"]["done"] > seen, 60, "it goes on")  # noqa: B023
            time.sleep(chance.uniform(0, 0.3))  # anywhere between that and the next
            gateway.process.send_signal(signal.SIGTERM if kill == 2 else signal.SIGKILL)
            gateway.process.wait(timeout=60)
        journal = json.loads((tmp_path / "jobs" / job / "result.partial" / "journal.json").read_text())
        assert journal["counts"]["rows"] >= seen
        seen = journal["counts"]["rows"]
    assert seen < ROWS, "it was done before the last kill: give it more rows"
    with running_gateway(env, tmp_path / "last.log") as gateway:
        wait_until(lambda: look(gateway, job)["finished"] is not None, 60, "it has ended")
        assert look(gateway, job)["state"] == "done"
        assert_whole(lines_of(gateway, job), own, ROWS)


def test_every_row_names_the_version_that_answered_it_through_swaps(
    stack: Stack, tmp_path: Path, store: ModelStore
) -> None:
    own = {1: own_answers(store.folder / "1")}
    with gateway_beside(stack, tmp_path / "log", JOBS=str(tmp_path / "jobs"), LOG_REQUESTS="false") as gateway:
        job = begin(gateway, 3 * ROWS)
        for number in (2, 3, 4):
            seen = look(gateway, job)["rows"]["done"]
            wait_until(lambda: look(gateway, job)["rows"]["done"] > seen, 60, "it goes on")  # noqa: B023
            folder = write_model(tmp_path / f"v{number}", number - 1, seed=number)
            own[number] = own_answers(folder)
            assert store.publish(folder) == number
            wait_until(lambda: number in look(gateway, job)["versions"], 60, "the new version answers rows")  # noqa: B023
        wait_until(lambda: look(gateway, job)["finished"] is not None, 120, "it has ended")
        found = look(gateway, job)
        assert found["state"] == "done", found
        assert found["versions"] == [1, 2, 3, 4]
        lines = lines_of(gateway, job)
        assert_whole(lines, own, 3 * ROWS)
        named = [line["version"] for line in lines]
        assert named == sorted(named)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log


def test_a_job_waits_for_a_triton_that_is_away(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", JOBS=str(tmp_path / "jobs"), LOG_REQUESTS="false") as gateway:
        with stack.hanging("tritonserver"):
            answer = gateway.client.post("/jobs", content=table(300), headers=LINES)
            assert answer.status_code == 202
            waiting = answer.json()["id"]
            time.sleep(1)
            assert look(gateway, waiting)["state"] in ("queued", "running")
        wait_until(lambda: look(gateway, waiting)["state"] == "done", 60, "Triton is back")


def test_a_job_gives_way(stack: Stack, tmp_path: Path) -> None:
    """While sentences are asked without a pause, a job has nothing under way that they would have to wait for."""
    with gateway_beside(stack, tmp_path / "log", JOBS=str(tmp_path / "jobs"), LOG_REQUESTS="false") as gateway:
        job = begin(gateway, 4 * ROWS)
        wait_until(lambda: look(gateway, job)["rows"]["done"] > 0, 30, "it is under way")
        body = {"sentences": SENTENCES * 3}
        for _ in range(20):
            assert gateway.client.post("/classify", json=body).status_code == 200
        assert look(gateway, job)["state"] == "running"
        assert gateway.client.delete(f"/jobs/{job}").status_code == 202
        wait_until(lambda: look(gateway, job)["finished"] is not None, 30, "it has ended")
