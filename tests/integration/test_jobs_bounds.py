"""What jobs are kept from: other callers' eyes, all of the disk, addresses that nobody allowed, being run twice."""

import gzip
import json
import resource
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.job_requests import CSV, begin, ended, expected, look, many_rows, result, served
from tests.integration.stack import Stack
from tests.s3_server import CREDENTIALS, s3_server
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with served(folder) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(stack: Stack, folder: Path) -> Iterator[Gateway]:
    with gateway_beside(stack, folder / "own.log", JOBS=str(folder / "jobs")) as running:
        yield running


def test_a_caller_who_hangs_up_leaves_nothing(gateway: Gateway, folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"text\npan\n" * 10
        wait_until(lambda: bool(list((folder / "jobs").glob(".new-*"))), 10, "the table comes")
        raise RuntimeError

    before = len(gateway.client.get("/jobs", params={"limit": 100}).json()["jobs"])
    with pytest.raises(RuntimeError):
        gateway.client.post("/jobs", content=pieces(), headers=CSV)
    wait_until(lambda: not list((folder / "jobs").glob(".new-*")), 10, "what came is gone")
    assert len(gateway.client.get("/jobs", params={"limit": 100}).json()["jobs"]) == before


def test_each_key_sees_its_own_jobs(stack: Stack, folder: Path) -> None:
    with gateway_beside(stack, folder / "keys.log", JOBS=str(folder / "keyed"), API_KEYS="ana,zoé") as gateway:
        ana, zoe = ({"Authorization": f"Bearer {key}".encode()} for key in ("ana", "zoé"))
        answer = gateway.client.post("/jobs", content="text\npan\n", headers={**CSV, **ana})  # type: ignore[dict-item]
        assert answer.status_code == 202
        path = answer.headers["location"]
        for method, each in (("GET", path), ("GET", f"{path}/result"), ("DELETE", path)):
            assert gateway.client.request(method, each).status_code == 401
            assert gateway.client.request(method, each, headers=zoe).status_code == 404
        assert gateway.client.get("/jobs", headers=zoe).json()["jobs"] == []
        latin = {"Authorization": "Bearer zoé".encode("latin-1")}
        own = gateway.client.post("/jobs", content="text\npan\n", headers={**CSV, **zoe})  # type: ignore[dict-item]
        assert gateway.client.get(own.headers["location"], headers=latin).status_code == 200
        assert len(gateway.client.get("/jobs", headers=ana).json()["jobs"]) == 1
        assert gateway.client.post("/jobs", content="text\npan\n", headers=CSV).status_code == 401
    kept = b"".join(path.read_bytes() for path in (folder / "keyed").rglob("*") if path.is_file())
    assert b"ana" not in kept


def test_room_and_number_of_jobs_are_bounded(stack: Stack, folder: Path) -> None:
    settings = {"JOBS": str(folder / "bounded"), "JOBS_MAX_MB": "1", "JOBS_KEPT": "2", "JOBS_KEEP_HOURS": "0.003"}
    with gateway_beside(stack, folder / "bounded.log", **settings) as gateway:
        full = ended(gateway, begin(gateway, many_rows(30_000), CSV), "failed")
        assert "JOBS_MAX_MB" in full["error"]
        assert full["rows"]["done"] == len(result(gateway, full)) > 0
        refused = gateway.client.post("/jobs", content=many_rows(200_000), headers=CSV)
        assert refused.status_code == 507, refused.text
        assert gateway.client.delete(f"/jobs/{full['id']}").status_code == 204
        for _ in range(2):
            begin(gateway, "text\npan\n", CSV)
        refused = gateway.client.post("/jobs", content="text\npan\n", headers=CSV)
        assert refused.status_code == 507
        assert "JOBS_KEPT" in refused.json()["error"]
        wait_until(lambda: gateway.client.get("/jobs").json()["jobs"] == [], 40, "they are too old")
        assert gateway.client.get("/classify", params={"sentence": "pan"}).status_code == 200


def test_a_full_disk_ends_the_job_and_not_the_gateway(stack: Stack, folder: Path) -> None:
    with gateway_beside(stack, folder / "full.log", JOBS=str(folder / "full"), LOG_REQUESTS="false") as gateway:
        # A file may be so long and no longer, which fails as a full disk does: in the middle of a write.
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
        job = ended(gateway, begin(gateway, many_rows(10_000), CSV), "failed")
        assert job["error"] == "The result can't be written: File too large."
        lines = result(gateway, job)
        assert len(lines) == job["rows"]["done"] > 0
        assert [line["index"] for line in lines] == list(range(len(lines)))
        refused = gateway.client.post("/jobs", content=many_rows(100_000), headers=CSV)
        assert refused.status_code == 507, refused.text
        assert ended(gateway, begin(gateway, "text\npan\n", CSV))["rows"]["done"] == 1
        assert gateway.client.get("/classify", params={"sentence": "pan"}).status_code == 200


def test_metrics_tell_what_became_of_jobs_and_how_long_one_waits(stack: Stack, folder: Path) -> None:
    with gateway_beside(stack, folder / "told.log", JOBS=str(folder / "told"), JOBS_MAX_MB="1") as gateway:

        def count(outcome: str) -> float:
            return gateway.metric(f'classifier_jobs_ended_total{{outcome="{outcome}"}}')

        shown = 'classifier_jobs_ended_total{model="classifier",outcome="failed"} 0.0'
        wait_until(lambda: shown in gateway.client.get("/metrics").text, 10, "the count begins at 0")
        ended(gateway, begin(gateway, "text\npan\n", CSV))
        ended(gateway, begin(gateway, 'text\n"pan\n', CSV), "failed")  # the quotation has no end
        wait_until(lambda: (count("done"), count("unreadable")) == (1, 1), 10, "both are counted")
        assert count("failed") == 0
        with stack.hanging("tritonserver"):
            first = begin(gateway, many_rows(100), CSV)
            wait_until(lambda: look(gateway, first)["state"] == "running", 10, "the first is asked")
            second = begin(gateway, many_rows(200), CSV)
            wait_until(lambda: gateway.metric("classifier_jobs_oldest_queued_seconds") > 1, 30, "the second waits")
            assert gateway.client.delete(f"/jobs/{first['id']}").status_code == 202
            wait_until(lambda: count("cancelled") == 1, 10, "the first is given up, and counted")
        ended(gateway, second)
        assert gateway.metric("classifier_jobs_oldest_queued_seconds") == 0
        wait_until(lambda: count("done") == 2, 10, "the second is counted")
        ended(gateway, begin(gateway, many_rows(30_000), CSV), "failed")
        wait_until(lambda: count("failed") == 1, 10, "there was no room for it")
        assert gateway.metric("classifier_jobs_bytes_limit") == 1_000_000


def test_a_table_in_s3_is_fetched_from_where_that_is_allowed_and_from_nowhere_else(stack: Stack, folder: Path) -> None:
    with s3_server(folder / "s3.log") as server:
        server.write("tables/april.csv", many_rows(700).encode())
        server.write("tables/april.jsonl.gz", gzip.compress(b'{"text": "pan"}\n'))
        server.write("secret/april.csv", b"text\npan\n")
        server.write("tables-of-others/april.csv", b"text\npan\n")
        settings = {"JOBS": str(folder / "s3-jobs"), "JOBS_SOURCES": server.repository("tables")}
        with gateway_beside(stack, folder / "s3-gateway.log", **CREDENTIALS, **settings) as gateway:

            def ask(**body: Any) -> httpx.Response:
                return gateway.client.post("/jobs", json=body)

            job = ended(gateway, ask(source=server.repository("tables/april.csv"), top_k=1).json())
            assert job["rows"] == {"total": 700, "done": 700, "failed": 0}
            assert [line["answer"][0]["label"] for line in result(gateway, job)] == [expected(n) for n in range(700)]
            job = ended(gateway, ask(source=server.repository("tables/april.jsonl.gz"), text=["text"]).json())
            assert result(gateway, job)[0]["answer"][0]["label"] == "Food"
            job = ended(gateway, ask(source=server.repository("tables/may.csv")).json(), "failed")
            assert "is missing" in job["error"]
            for source in (
                server.repository("secret/april.csv"),
                server.repository("tables-of-others/april.csv"),
                server.repository("tables/../secret/april.csv"),
                server.repository("tables"),
                "s3://127.0.0.1:1/models/tables/april.csv",
                "s3://models/tables/april.csv",
                "s3://http://169.254.169.254/models/tables/april.csv",
                "http://127.0.0.1/tables/april.csv",
                "file:///etc/passwd",
            ):
                answer = ask(source=source)
                assert answer.status_code == 422, (source, answer.text)
            assert ask(source=server.repository("tables/april.parquet")).status_code == 422
            assert ask(source=server.repository("tables/april.csv"), more=1).status_code == 422
            body = {"source": server.repository("tables/april.csv")}
            assert gateway.client.post("/jobs", json=body, params={"top_k": 1}).status_code == 422


def test_any_worker_shows_what_one_of_them_runs(stack: Stack, folder: Path) -> None:
    with gateway_beside(stack, folder / "workers.log", JOBS=str(folder / "shared"), WORKERS="2") as gateway:
        connection = partial(httpx.Client, base_url=gateway.client.base_url, timeout=60)  # each may meet any worker
        jobs = []
        for number in range(6):
            with connection() as client:
                answer = client.post("/jobs", content=many_rows(2000 + number), headers=CSV)
                assert answer.status_code == 202
                jobs.append(answer.json())
        most = 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with connection() as client:
                found = client.get("/jobs").json()["jobs"]
            assert len(found) == 6
            most = max(most, sum(job["state"] == "running" for job in found))
            if all(job["state"] == "done" for job in found):
                break
            time.sleep(0.05)
        assert most == 1
        for number, job in enumerate(jobs):
            with connection() as client:
                lines = client.get(f"/jobs/{job['id']}/result").text.splitlines()
            assert [json.loads(line)["index"] for line in lines] == list(range(2000 + number))
