"""`/jobs` on the running service: tables of all kinds, bad rows, cancelling, deleting, bounds, owners, many workers."""

import csv
import gzip
import io
import json
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.scoring import WORDS
from tests.integration.stack import Stack
from tests.s3_server import CREDENTIALS, s3_server
from tests.version_folders import write_version
from tests.waiting import wait_until

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """Its own gateway takes no jobs."""
    publish(folder / "models", "classifier", write_version(folder / "one", WORDS, golden=["pan"], max_length=16))
    with Stack(folder / "models", folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def gateway(stack: Stack, folder: Path) -> Iterator[Gateway]:
    settings = {"JOBS": str(folder / "jobs"), "JOBS_MAX_BYTES": "4000000", "JOBS_KEPT": "40", "MAX_BODY_BYTES": "20000"}
    with gateway_beside(stack, folder / "own.log", **settings) as running:
        yield running


def begin(gateway: Gateway, table: bytes | str, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = gateway.client.post("/jobs", content=table, headers=headers, params=query)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    return job


def look(gateway: Gateway, job: dict[str, Any]) -> dict[str, Any]:
    answer = gateway.client.get(f"/jobs/{job['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(gateway: Gateway, job: dict[str, Any], state: str = "done") -> dict[str, Any]:
    wait_until(lambda: look(gateway, job)["finished"] is not None, 60, "the job has ended")
    found = look(gateway, job)
    assert found["state"] == state, found
    return found


def result(gateway: Gateway, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = gateway.client.get(f"/jobs/{job['id']}/result", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def many_rows(count: int) -> str:
    return "text\n" + "".join(f"{list(WORDS)[number % 3]}\n" for number in range(count))


def expected(number: int) -> str:
    return list(WORDS.values())[number % 3]


def test_jobs_are_off_until_a_folder_is_named(stack: Stack) -> None:
    for method, path in (("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/1"), ("DELETE", "/jobs/1")):
        answer = stack.client.request(method, path)
        assert answer.status_code == 404
        assert "set JOBS to a folder" in answer.json()["error"]


def test_csv_is_answered_row_for_row_as_classify_answers(gateway: Gateway) -> None:
    texts = ["pan", "aprende", "huerto pan", 'a "quoted" pan,\nof two lines', "pan " * 40, "ñandú huerto"]
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["id", "body", "title"])
    rows.writerows([f"n{number}", text, ""] for number, text in enumerate(texts))
    job = begin(gateway, table.getvalue().encode(), CSV, text=["title", "body"], keep="id", top_k=2)
    found = ended(gateway, job)
    assert found["rows"] == {"total": 6, "done": 6, "failed": 0}
    assert found["versions"] == [1]
    assert found["result"] == f"/jobs/{job['id']}/result"
    lines = result(gateway, job)
    assert [line["index"] for line in lines] == list(range(6))
    assert [line["row"] for line in lines] == list(range(2, 8))
    assert [line["kept"] for line in lines] == [{"id": f"n{number}"} for number in range(6)]
    assert [line.get("truncated", False) for line in lines] == [False] * 4 + [True, False]
    for text, line in zip(texts, lines, strict=True):
        own = gateway.client.post("/classify", json={"sentences": [text], "top_k": 2})
        assert str(line["version"]) == own.headers["x-model-version"]
        assert [each["label"] for each in line["answer"]] == [each["label"] for each in own.json()[0]]
        assert [each["score"] for each in line["answer"]] == pytest.approx(
            [each["score"] for each in own.json()[0]], abs=1e-6
        )


def test_rows_that_cannot_be_answered_say_why_and_cost_no_other(gateway: Gateway) -> None:
    rows: list[Any] = [
        {"text": "pan"},
        {"text": " "},
        {"text": 7},
        {"other": "pan"},
        "pan",
        {"text": "pan " * 40},
        {"text": "pan", "id": "\ud800"},
        {"text": "x" * 200_000},
        {"text": "huerto", "id": 3},
    ]
    table = "\n".join(json.dumps(row) for row in rows) + "\n{broken\n\n"
    found = ended(gateway, begin(gateway, table, LINES, truncate="false", keep="id"))
    assert found["rows"] == {"total": 11, "done": 10, "failed": 7} | {"total": 10}
    lines = result(gateway, found)
    assert [line["row"] for line in lines] == list(range(1, 11))
    errors = {line["row"]: line["error"] for line in lines if "error" in line}
    assert errors == {
        2: "the text is empty",
        3: "the row has the value 7 in text, where a text belongs",
        4: "the row has no text",
        5: "the row is no object",
        6: "the text has 42 tokens; the model takes at most 16",
        8: "the text has 200000 bytes; at most 131072 are taken",
        10: errors[10],
    }
    assert errors[10].startswith("the row is not JSON")
    assert {line["row"]: line["answer"][0]["label"] for line in lines if "answer" in line} == {
        1: "Food",
        7: "Food",
        9: "Home",
    }
    assert lines[8]["kept"] == {"id": 3}


@pytest.mark.parametrize(
    ("query", "check"),
    [
        ({"min_score": "0.999999", "unknown": "none"}, "none"),
        ({"long_text": "windows"}, "windows"),
        ({"version": "1"}, "version"),
    ],
)
def test_options_are_those_of_classify(gateway: Gateway, query: dict[str, str], check: str) -> None:
    text = "pan " * 30 + "huerto " * 30
    job = ended(gateway, begin(gateway, json.dumps({"text": text}), LINES, **query))
    (line,) = result(gateway, job)
    own = gateway.client.post("/classify", json={"sentences": [text], **query})
    assert [each["label"] for each in line["answer"]] == [each["label"] for each in own.json()[0]]
    assert line["answer"][0]["score"] == pytest.approx(own.json()[0][0]["score"], abs=1e-6)
    assert line.get("windows", 1) == int(own.headers.get("x-windows", 1))
    assert (check == "windows") == ("windows" in line)


def test_packed_and_tab_separated_tables_are_read(gateway: Gateway) -> None:
    packed = gzip.compress(many_rows(1000).encode())
    found = ended(gateway, begin(gateway, packed, CSV | {"Content-Encoding": "gzip"}))
    assert found["rows"] == {"total": 1000, "done": 1000, "failed": 0}
    assert [line["answer"][0]["label"] for line in result(gateway, found)] == [expected(n) for n in range(1000)]
    found = ended(gateway, begin(gateway, "text\tx\npan\t1\n", {"Content-Type": "text/tab-separated-values"}))
    assert result(gateway, found)[0]["answer"][0]["label"] == "Food"
    found = ended(gateway, begin(gateway, "text\npan\n", {"Content-Type": "application/octet-stream"}, format="csv"))
    assert result(gateway, found)[0]["answer"][0]["label"] == "Food"


@pytest.mark.parametrize(
    ("table", "headers", "status", "said"),
    [
        ("text\npan\n", {"Content-Type": "text/html"}, 415, "send a table as text/csv"),
        ("text\npan\n", {"Content-Type": "application/octet-stream"}, 415, "name its `format`"),
        ("text\npan\n", CSV | {"Content-Encoding": "br"}, 415, "send gzip"),
        ("text\npan\n", {"Content-Type": "text/csv; charset=latin-1"}, 415, "send UTF-8"),
        ("{", {"Content-Type": "application/json"}, 400, "is not JSON"),
        ('{"source": 1}', {"Content-Type": "application/json"}, 422, "body.source"),
        ('{"source": "s3://bucket/key.csv"}', {"Content-Type": "application/json"}, 422, "JOBS_SOURCES is empty"),
        ("text\npan\n", CSV | {"Idempotency-Key": ""}, 422, "Idempotency-Key".lower()),
    ],
)
def test_what_is_no_table_is_refused(
    gateway: Gateway, table: str, headers: dict[str, str], status: int, said: str
) -> None:
    answer = gateway.client.post("/jobs", content=table, headers=headers)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": "no"}, 404),
        ({"version": "99"}, 422),
        ({"calibrated": "true"}, 422),
        ({"receipt": "true"}, 422),
        ({"top_k": "-1"}, 422),
        ({"coverage": "0.9", "top_k": "2"}, 422),
    ],
)
def test_options_that_cannot_be_had_are_refused_before_anything_is_kept(
    gateway: Gateway, query: dict[str, str], status: int
) -> None:
    answer = gateway.client.post("/jobs", content="text\npan\n", headers=CSV, params=query)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "The table: it is empty; a header and a row for each text are needed."),
        ("name\npan\n", "No column is called text"),
        ('text\n"pan\n', "The table: row 2 opens a quotation mark that is never closed."),
    ],
)
def test_a_file_that_is_no_table_fails_as_a_job(gateway: Gateway, table: str, said: str) -> None:
    found = ended(gateway, begin(gateway, table, CSV), "failed")
    assert found["error"].startswith(said), found
    assert str(Path(found["error"]).parent) == "."  # no path of the machine


def test_too_long_a_table_is_refused_packed_or_not(gateway: Gateway, folder: Path) -> None:
    table = many_rows(700_000).encode()
    assert len(table) > 4_000_000

    def pieces() -> Iterator[bytes]:
        for begin_at in range(0, len(table), 50_000):
            yield table[begin_at : begin_at + 50_000]

    for content in (table, pieces()):
        answer = gateway.client.post("/jobs", content=content, headers=CSV)
        assert answer.status_code == 413, answer.text
    job = ended(gateway, begin(gateway, gzip.compress(b"text\n" + b"\n" * 5_000_000), CSV), "failed")
    assert "more than 4000000 bytes" in job["error"]
    assert not list((folder / "jobs").glob(".new-*"))
    assert gateway.client.post("/classify", json={"sentences": ["x" * 30_000]}).status_code == 413


def test_a_result_can_be_read_on_where_a_download_broke_off(gateway: Gateway) -> None:
    job = ended(gateway, begin(gateway, many_rows(100), CSV))
    path = f"/jobs/{job['id']}/result"
    whole = gateway.client.get(path)
    for asked, content in (
        ("bytes=0-9", whole.content[:10]),
        ("bytes=1000-", whole.content[1000:]),
        ("bytes=-7", whole.content[-7:]),
        ("bytes=20-999999", whole.content[20:]),
    ):
        answer = gateway.client.get(path, headers={"Range": asked, "If-Range": whole.headers["etag"]})
        assert answer.status_code == 206
        assert answer.content == content
        assert answer.headers["content-range"].endswith(f"/{len(whole.content)}")
    past = gateway.client.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert past.status_code == 416
    assert "error" in past.json()
    for asked in ("bytes=9-3", "lines=1-2", "bytes=1-2,4-5", "bytes=-"):
        assert gateway.client.get(path, headers={"Range": asked}).status_code == 200
    assert gateway.client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"x"'}).status_code == 200
    assert gateway.client.head(path).headers["content-length"] == str(len(whole.content))


def test_a_running_job_shows_its_lines_if_asked_and_is_cancelled_then_deleted(gateway: Gateway, folder: Path) -> None:
    job = begin(gateway, many_rows(300_000), CSV)
    wait_until(lambda: look(gateway, job)["rows"]["done"] > 0, 30, "rows are done")
    found = look(gateway, job)
    assert found["state"] == "running"
    assert found["rows"]["total"] == 300_000
    path = f"/jobs/{job['id']}"
    early = gateway.client.get(f"{path}/result")
    assert early.status_code == 409
    assert "partial=true" in early.json()["error"]
    lines = result(gateway, job, partial="true")
    assert [line["index"] for line in lines] == list(range(len(lines)))
    cancelled = gateway.client.delete(path)
    assert cancelled.status_code == 202
    assert cancelled.json()["state"] == "cancelled"
    ended(gateway, job, "cancelled")
    kept = result(gateway, job)
    assert len(kept) >= len(lines)
    assert [line["answer"][0]["label"] for line in kept] == [expected(number) for number in range(len(kept))]
    assert not (folder / "jobs" / job["id"] / "input").exists()
    assert gateway.client.delete(path).status_code == 204
    assert gateway.client.get(path).status_code == 404
    assert gateway.client.delete(path).status_code == 404
    wait_until(lambda: not (folder / "jobs" / job["id"]).exists(), 10, "it is deleted")


def test_the_same_key_is_the_same_job(gateway: Gateway) -> None:
    headers = CSV | {"Idempotency-Key": "order-1"}
    first = begin(gateway, "text\npan\n", headers, top_k=2)
    found: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: found.append(begin(gateway, "text\npan\n", headers, top_k=2))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {job["id"] for job in found} == {first["id"]}
    assert len(found) == 8
    for table, query in (("text\nhuerto\n", {"top_k": 2}), ("text\npan\n", {"top_k": 3})):
        answer = gateway.client.post("/jobs", content=table, headers=headers, params=query)
        assert answer.status_code == 409
        assert "Idempotency-Key" in answer.json()["error"]
    assert begin(gateway, "text\npan\n", CSV | {"Idempotency-Key": "order-2"}, top_k=2)["id"] != first["id"]


def test_jobs_are_listed_newest_first_in_pages(gateway: Gateway) -> None:
    begun = [begin(gateway, f"text\npan {number}\n", CSV)["id"] for number in range(3)]
    page = gateway.client.get("/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in page["jobs"]] == begun[:0:-1]
    following = gateway.client.get(page["next"]).json()
    assert following["jobs"][0]["id"] == begun[0]
    everything = gateway.client.get("/jobs", params={"limit": 100}).json()
    assert everything["next"] is None
    assert gateway.client.get("/jobs", params={"before": "0" * 32}).status_code == 404
    assert gateway.client.get("/jobs", params={"limit": 0}).status_code == 422
    assert gateway.client.get("/jobs/../../etc/passwd").status_code == 404
    assert gateway.client.put("/jobs").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_metrics_count_jobs_and_rows(gateway: Gateway) -> None:
    for job in gateway.client.get("/jobs", params={"limit": 100}).json()["jobs"]:
        wait_until(lambda job=job: look(gateway, job)["finished"] is not None, 60, "earlier jobs have ended")  # type: ignore[misc]
    before = gateway.metric('classifier_job_rows_total{outcome="answered"}')
    ended(gateway, begin(gateway, many_rows(10), CSV))
    assert gateway.metric('classifier_job_rows_total{outcome="answered"}') == before + 10
    assert gateway.metric('classifier_jobs{state="done"}') > 0
    assert gateway.metric("classifier_jobs_bytes") > 0


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
        jobs = []
        for number in range(6):
            with httpx.Client(base_url=gateway.client.base_url) as client:  # a connection of its own: any worker
                answer = client.post("/jobs", content=many_rows(2000 + number), headers=CSV)
                assert answer.status_code == 202
                jobs.append(answer.json())
        most = 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with httpx.Client(base_url=gateway.client.base_url) as client:
                found = client.get("/jobs").json()["jobs"]
            assert len(found) == 6
            most = max(most, sum(job["state"] == "running" for job in found))
            if all(job["state"] == "done" for job in found):
                break
            time.sleep(0.05)
        assert most == 1
        for number, job in enumerate(jobs):
            with httpx.Client(base_url=gateway.client.base_url) as client:
                lines = client.get(f"/jobs/{job['id']}/result").text.splitlines()
            assert [json.loads(line)["index"] for line in lines] == list(range(2000 + number))
