"""What is around the answers: API keys, CORS, request ids, the log, and the counts in /metrics."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.callers import for_seconds, keep_asking
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant"}
SECRETS = ("first-key", "second-key")
ORIGIN = "https://maps.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("http")
    publish(folder / "repository", "classifier", write_version(folder / "version", WORDS))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(stack: Stack) -> Iterator[Gateway]:
    """A gateway that asks for a key, lets one origin's pages call it, and logs the sentences."""
    settings = {"API_KEYS": ", ".join(SECRETS), "CORS_ORIGINS": ORIGIN, "LOG_SENTENCES": "true"}
    with gateway_beside(stack, stack.log.with_name("log-guarded"), **settings) as gateway:
        yield gateway


Ask = Callable[[httpx.Client, dict[str, str]], httpx.Response]
PROTECTED: dict[str, Ask] = {
    "one": lambda client, headers: client.get("/classify", params={"sentence": "cat"}, headers=headers),
    "many": lambda client, headers: client.post("/classify", json={"sentences": ["cat"]}, headers=headers),
    "TEI": lambda client, headers: client.post("/predict", json={"inputs": "cat"}, headers=headers),
    "TEI at the root": lambda client, headers: client.post("/", json={"inputs": "cat"}, headers=headers),
    "models": lambda client, headers: client.get("/models", headers=headers),
    "metrics": lambda client, headers: client.get("/metrics", headers=headers),
}


@pytest.mark.parametrize("ask", PROTECTED.values(), ids=PROTECTED)
def test_with_api_keys_only_their_holders_are_answered(guarded: Gateway, ask: Ask) -> None:
    for key in SECRETS:
        assert ask(guarded.client, {"authorization": f"Bearer {key}"}).status_code == 200
    for wrong in (
        "Bearer first",
        "first-key",
        "Basic first-key",
        "Bearer first-key, second-key",
        "Bearer é",
    ):
        refused = ask(guarded.client, {"authorization": wrong.encode()})  # type: ignore[dict-item]
        assert refused.status_code == 401
    refused = ask(guarded.client, {})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in refused.json()["error"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/", "/docs", "/openapi.json"])
def test_health_and_pages_need_no_key(guarded: Gateway, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_no_key_is_in_the_log(guarded: Gateway) -> None:
    guarded.client.get("/classify", params={"sentence": "cat"}, headers={"authorization": f"Bearer {SECRETS[0]}"})
    assert not [secret for secret in SECRETS if secret in guarded.log.read_text()]


def test_pages_of_a_listed_origin_may_call(stack: Stack, guarded: Gateway) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    allowed = guarded.client.options("/classify", headers={"origin": ORIGIN, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    key = {"authorization": f"Bearer {SECRETS[0]}"}
    answer = guarded.client.get("/classify", params={"sentence": "cat"}, headers={"origin": ORIGIN, **key})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("X-Model-Version", "X-Windows", "X-Answered-By", "X-Calibrated"))
    other = {"origin": "https://elsewhere.example"}
    assert guarded.client.options("/classify", headers={**other, **asked}).status_code == 400
    for client in (guarded.client, stack.client):
        answer = client.get("/classify", params={"sentence": "cat"}, headers={**other, **key})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/classify?sentence=cat", "/classify?sentence=", "/classify?top_k=x", "/nothing"])
def test_a_request_keeps_its_id_or_gets_one(stack: Stack, path: str) -> None:
    given = stack.client.get(path, headers={"x-request-id": "caller-7"})
    assert given.headers["x-request-id"] == "caller-7"
    fresh = {stack.client.get(path).headers["x-request-id"] for _ in range(5)}
    assert len(fresh) == 5
    for odd in ("", "a b", 'a"b', "x" * 129, "a\tb"):
        answered = stack.client.get(path, headers={"x-request-id": odd}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", answered)


def line_of(log: Path, request_id: str) -> dict[str, Any]:
    """The one line of a request in the log."""

    def lines() -> list[str]:
        return [line for line in log.read_text().splitlines() if f'"{request_id}"' in line]

    wait_until(lambda: len(lines()) == 1, 5, "one line is written")
    content: dict[str, Any] = json.loads(lines()[0])
    return content


def test_a_request_is_one_line_of_json(stack: Stack) -> None:
    body = {"sentences": ["cat oak", "secret words"]}
    stack.client.post("/classify?password=x", json=body, headers={"x-request-id": "many-1"})
    line = line_of(stack.log, "many-1")
    assert {"time", "event", "request_id", "method", "route", "status", "ms"} <= set(line)
    assert (line["method"], line["route"], line["status"]) == ("POST", "/classify", 200)
    assert (line["version"], line["sentences"], line["tokens"]) == (1, 2, 8)
    assert 0 <= line["queue_ms"] <= line["ms"] < 30_000
    stack.client.get("/classify", params={"sentence": "secret words"}, headers={"x-request-id": "one-1"})
    stack.client.get("/classify", params={"sentence": " "}, headers={"x-request-id": "blank-1"})
    stack.client.get("/secret/words", headers={"x-request-id": "nothing-1"})
    assert line_of(stack.log, "one-1")["sentences"] == 1
    assert line_of(stack.log, "blank-1")["status"] == 422
    assert line_of(stack.log, "nothing-1")["route"] == "unknown"
    assert "secret" not in stack.log.read_text()
    assert "password" not in stack.log.read_text()


def test_sentences_are_logged_where_that_is_asked_for(guarded: Gateway) -> None:
    headers = {"authorization": f"Bearer {SECRETS[0]}", "x-request-id": "said-1"}
    guarded.client.get("/classify", params={"sentence": 'cat "\n'}, headers=headers)
    assert line_of(guarded.log, "said-1")["texts"] == ['cat "\n']


def test_metrics_count_what_was_done(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log") as gateway:
        client = gateway.client
        client.post("/classify", json={"sentences": ["cat", "cat " * 50, "oak " * 50]})
        client.get("/classify", params={"sentence": "cat oak"})
        client.get("/classify", params={"sentence": ""})
        client.get("/classify", params={"sentence": "cat " * 50, "truncate": "false"})
        expected = {
            'classifier_requests_total{route="/classify",status="200"}': 2,
            'classifier_requests_total{route="/classify",status="422"}': 1,
            'classifier_requests_total{route="/classify",status="413"}': 1,
            'classifier_request_seconds_count{route="/classify"}': 4,
            "classifier_sentences_total": 4,
            "classifier_truncated_sentences_total": 2,
            'classifier_rejected_requests_total{error="BlankSentence"}': 1,
            'classifier_rejected_requests_total{error="SentenceTooLong"}': 1,
            "classifier_queue_seconds_count": 4,
            "classifier_batch_sentences_sum": 4,
            "classifier_tokens_total": 3 + 16 + 16 + 4,  # each with two special tokens, at most 16
            "classifier_ready": 1,
            "classifier_current_version": 1,
            "classifier_waiting_sentences": 0,
            "classifier_calls_in_flight": 0,
        }
        assert {name: gateway.metric(name) for name in expected} == expected
        assert gateway.metric("classifier_padding_tokens_total") >= 0
        asyncio.run(keep_asking(gateway.port, "cat", 4, for_seconds(0.2)))
        assert gateway.metric("classifier_batch_sentences_count") > 2


def test_nothing_is_logged_where_that_is_asked_for(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", LOG_REQUESTS="false") as gateway:
        assert gateway.client.get("/classify", params={"sentence": "cat"}).status_code == 200
    assert '"event"' not in (tmp_path / "log").read_text()
