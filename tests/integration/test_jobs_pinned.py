"""Jobs that ask for one version: they fail once it is gone, keep their lines, and wait for a Triton that is away."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.jobs.stretch import GONE
from repository.store import ModelStore
from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.stack import Stack
from tests.integration.swapping import QUESTIONS, new_store, own_answers, write_model
from tests.waiting import wait_until

SENTENCES = sorted({sentence for question in QUESTIONS for sentence in question.sentences})
ROWS = 60_000
"""More than a quick machine answers before the version goes."""
WHOLE = 15_000
"""Of a job that is answered to its end."""
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


@pytest.fixture
def stack(store: ModelStore, tmp_path: Path) -> Iterator[Stack]:
    with Stack(store.folder.parent, tmp_path / "log", LOG_REQUESTS="false") as running:
        yield running


@pytest.fixture
def gateway(stack: Stack, tmp_path: Path) -> Iterator[Gateway]:
    with gateway_beside(stack, tmp_path / "own.log", JOBS=str(tmp_path / "jobs"), LOG_REQUESTS="false") as running:
        yield running


def under_way(gateway: Gateway, version: int, count: int = ROWS) -> str:
    """A job of that version that has answered rows, and is far from its end."""
    rows = ({"text": SENTENCES[number % len(SENTENCES)]} for number in range(count))
    table = "".join(json.dumps(row) + "\n" for row in rows)
    answer = gateway.client.post("/jobs", content=table, headers=LINES, params={"version": version})
    assert answer.status_code == 202, answer.text
    job = str(answer.json()["id"])
    wait_until(lambda: look(gateway, job)["rows"]["done"] > 0, 60, "it is under way")
    return job


def look(gateway: Gateway, job: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.client.get(f"/jobs/{job}").json()
    return found


def ended(gateway: Gateway, job: str) -> dict[str, Any]:
    wait_until(lambda: look(gateway, job)["finished"] is not None, 120, "it has ended")
    return look(gateway, job)


def assert_own(gateway: Gateway, job: dict[str, Any], own: dict[str, Any]) -> None:
    """Its lines are those it counts, each once, by version 1."""
    text = gateway.client.get(f"/jobs/{job['id']}/result").text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["index"] for line in lines] == list(range(job["rows"]["done"]))
    assert {line["version"] for line in lines} == {1}
    for line in lines:
        label, score = own[SENTENCES[line["index"] % len(SENTENCES)]]
        (found,) = line["answer"]
        assert found["label"] == label
        assert found["score"] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("way", ["retracted", "replaced", "the only one"])
def test_a_job_fails_when_its_version_is_gone_and_keeps_its_lines(
    gateway: Gateway, store: ModelStore, tmp_path: Path, way: str
) -> None:
    own = own_answers(store.folder / "1")
    if way == "retracted":
        assert store.publish(write_model(tmp_path / "v2", 1, seed=2)) == 2
        wait_until(lambda: gateway.client.get("/health/ready").json()["version"] == 2, 30, "version 2 answers")
    job = under_way(gateway, 1)
    if way == "replaced":
        for number in (2, 3):
            assert store.publish(write_model(tmp_path / f"v{number}", 1, seed=number)) == number
            wait_until(lambda: gateway.client.get("/health/ready").json()["version"] == number, 30, "it answers")  # noqa: B023
    else:
        store.retract(1)
    found = ended(gateway, job)
    assert (found["state"], found["error"]) == ("failed", GONE)
    assert 0 < found["rows"]["done"] < ROWS
    assert found["versions"] == [1]
    assert_own(gateway, found, own)
    assert "Traceback" not in gateway.log.read_text()


def test_a_job_that_waits_for_a_version_that_is_gone_fails(gateway: Gateway, store: ModelStore, tmp_path: Path) -> None:
    """It waits behind another one; nothing of it was asked."""
    assert store.publish(write_model(tmp_path / "v2", 1, seed=2)) == 2
    wait_until(lambda: gateway.client.get("/health/ready").json()["version"] == 2, 30, "version 2 answers")
    first = under_way(gateway, 2)
    answer = gateway.client.post("/jobs", content='{"text": "word1"}\n', headers=LINES, params={"version": 1})
    store.retract(1)
    assert gateway.client.delete(f"/jobs/{first}").status_code == 202
    found = ended(gateway, answer.json()["id"])
    assert (found["state"], found["error"], found["rows"]["done"]) == ("failed", GONE, 0)


def test_a_job_outlives_the_triton_of_its_version(stack: Stack, gateway: Gateway, store: ModelStore) -> None:
    own = own_answers(store.folder / "1")
    job = under_way(gateway, 1, WHOLE)
    for pid in stack.processes("tritonserver"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gateway.client.get("/health/ready").status_code == 503, 30, "the gateway has seen it")
    found = ended(gateway, job)
    assert found["state"] == "done", found
    assert found["rows"] == {"total": WHOLE, "done": WHOLE, "failed": 0}
    assert_own(gateway, found, own)
