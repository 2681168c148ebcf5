"""`/jobs` on the running service: tables of all kinds, bad rows, what is refused, cancelling, deleting, repeating."""

import csv
import gzip
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.job_requests import CSV, LINES, begin, ended, expected, look, many_rows, result, served
from tests.integration.stack import Stack
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
    settings = {"JOBS": str(folder / "jobs"), "JOBS_MAX_BYTES": "4000000", "JOBS_KEPT": "40", "MAX_BODY_BYTES": "20000"}
    with gateway_beside(stack, folder / "own.log", **settings) as running:
        yield running


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
