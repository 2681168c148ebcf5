"""What a request may say of windows, what it is told of them, and what bounds them."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from repository.inference import scores
from repository.manifest import ProblemType
from tests.integration.gateways import gateway_beside, publish
from tests.integration.stack import Stack
from tests.student_versions import write_with_student
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "rock": "Mineral"}
LABELS = ["Animal", "Mineral", "Plant"]
SETTINGS = {"LONG_TEXT": "windows", "WINDOW_OVERLAP": "4"}
# In windows of 14 words, 4 of which are in the next as well.
LONG = "cat " * 30 + "oak " * 10
LOGITS = np.array([[14, 0, 0], [14, 0, 0], [10, 0, 4], [0, 0, 10]], dtype=float)
STRENGTH = 4.0  # of the model that has a student: times the logits of the others
JOINED = {"mean": LOGITS.mean(axis=0), "max": LOGITS.max(axis=0), "first-last": (LOGITS[0] + LOGITS[3]) / 2}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each problem type whose logits are how often it finds each label's words, and one with a student."""
    folder = tmp_path_factory.mktemp("windows")
    models = folder / "models"
    known = {"classifier": WORDS, "tags": WORDS, "number": {"cat": "stars"}}
    problems = {"tags": ProblemType.MULTI_LABEL, "number": ProblemType.REGRESSION}
    for name, words in known.items():
        problem = problems.get(name, ProblemType.SINGLE_LABEL)
        publish(models, name, write_version(folder / name, words, weight=1.0, problem_type=problem))
    student = write_with_student(folder / "taught", WORDS, dict.fromkeys(WORDS, 9.0), golden=["cat", "oak rock"])
    publish(models, "taught", student)
    return models


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(repository, repository.parent / "log", **SETTINGS) as running:
        yield running


def by_label(answer: list[dict[str, Any]]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in answer}


def ask(client: httpx.Client, text: str = LONG, **params: Any) -> httpx.Response:
    return client.get("/classify", params={"sentence": text, **params})


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


@pytest.mark.parametrize("join", JOINED)
@pytest.mark.parametrize(
    ("model", "problem"), [("classifier", ProblemType.SINGLE_LABEL), ("tags", ProblemType.MULTI_LABEL)]
)
def test_logits_are_joined_and_then_scored_once(
    stack: Stack, tmp_path: Path, model: str, problem: ProblemType, join: str
) -> None:
    expected = dict(zip(LABELS, scores(JOINED[join], problem).tolist(), strict=True))
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME=model) as gateway:
        answer = ask(gateway.client, top_k="all", window_join=join)
        assert by_label(answer.json()) == pytest.approx(expected, abs=1e-6)
        asked = 2 if join == "first-last" else 4
        assert answer.headers["x-windows"] == str(asked)
        body = {"sentences": ["rock", LONG], "top_k": "all", "window_join": join, "long_text": "windows"}
        many = gateway.client.post("/classify", json=body)
        assert many.json()[1] == answer.json()
        assert many.headers["x-windows"] == f"2={asked}"


@pytest.mark.parametrize("join", JOINED)
def test_the_outputs_of_a_regression_are_joined_as_they_are(stack: Stack, tmp_path: Path, join: str) -> None:
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME="number", WINDOW_JOIN=join) as gateway:
        assert ask(gateway.client).json() == [{"label": "stars", "score": pytest.approx(JOINED[join][0])}]


def test_what_the_request_says_comes_before_the_setting(stack: Stack, tmp_path: Path) -> None:
    plain = ask(stack.client)
    assert plain.headers["x-windows"] == "4"
    assert ask(stack.client, window_join="mean", top_k=1).content == plain.content  # the longer way, past the fast lane
    assert ask(stack.client, truncate="false").content == plain.content  # nothing is cut off
    cut = ask(stack.client, long_text="truncate")
    assert (cut.headers["x-truncated"], "x-windows" in cut.headers) == ("true", False)
    assert "has 42 tokens" in refusal(ask(stack.client, long_text="truncate", truncate="false"), 413)
    with gateway_beside(stack, tmp_path / "log", LONG_TEXT="truncate", WINDOW_JOIN="max") as gateway:
        assert ask(gateway.client).headers["x-truncated"] == "true"
        assert by_label(ask(gateway.client, long_text="windows").json()) != by_label(plain.json())
        assert ask(gateway.client, long_text="windows", window_join="mean").content == plain.content


@pytest.mark.parametrize(("name", "value"), [("long_text", "window"), ("window_join", "first"), ("long_text", "")])
def test_another_word_is_refused_with_those_that_are_known(stack: Stack, name: str, value: str) -> None:
    error = refusal(ask(stack.client, **{name: value}), 422)
    assert name in error
    assert {"long_text": "'windows'", "window_join": "'first-last'"}[name] in error
    assert name in refusal(stack.client.post("/classify", json={"sentences": ["cat"], name: value}), 422)


def test_more_windows_than_a_request_may_have_are_refused(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", MAX_WINDOWS="8") as gateway:
        assert ask(gateway.client, "cat " * 84).headers["x-windows"] == "8"
        assert ask(gateway.client, "cat " * 85, window_join="first-last").headers["x-windows"] == "2"
        error = refusal(ask(gateway.client, "cat " * 85), 413)
        assert error.startswith("The sentence has 9 windows of 16 tokens; at most 8 are taken: ")
        assert error.endswith("ask with long_text=truncate.")
        several = {"sentences": [LONG, "cat", LONG]}
        assert gateway.client.post("/classify", json=several).headers["x-windows"] == "1=4, 3=4"
        error = refusal(gateway.client.post("/classify", json={"sentences": [LONG, "cat", "cat " * 50]}), 413)
        assert error.startswith("The request's long texts have more than 8 windows together")
        assert gateway.client.post("/classify", json={"sentences": ["cat"] * 100}).status_code == 200
        megabyte = {"sentences": ["cat " * 262_144]}
        assert "at most 131072 are taken" in refusal(gateway.client.post("/classify", json=megabyte), 413)


def test_windows_count_as_sentences_that_wait(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", MAX_WAITING="4") as gateway:
        assert ask(gateway.client).status_code == 200
        answer = ask(gateway.client, LONG + "oak " * 5)
        assert refusal(answer, 503).startswith("Too busy")
        assert answer.headers["retry-after"] == "1"
        assert gateway.metric("classifier_waiting_sentences") == 0
        assert ask(gateway.client).status_code == 200


def test_metrics_and_the_log_tell_of_windows(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log") as gateway:
        ask(gateway.client)
        gateway.client.post("/classify", json={"sentences": [LONG, "cat", "oak " * 15]})
        ask(gateway.client, "cat")
        ask(gateway.client, long_text="truncate")
        counted = {name: gateway.metric(f"classifier_{name}_total") for name in ("windows", "windowed_sentences")}
        assert counted == {"windows": 4 + 4 + 2, "windowed_sentences": 3}
        assert gateway.metric("classifier_truncated_sentences_total") == 1
        assert gateway.metric("classifier_sentences_total") == 6
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"sentences"' in line]
    assert [(line["sentences"], line.get("windows"), line["tokens"]) for line in lines] == [
        (1, 4, 3 * 16 + 12),
        (3, 7, 3 * 16 + 12 + 3 + 16 + 7),
        (1, None, 3),
        (1, None, 16),
    ]


def test_others_are_answered_while_a_megabyte_is_tokenized(stack: Stack, tmp_path: Path) -> None:
    text = "cat oak " * 125_000
    with gateway_beside(stack, tmp_path / "log", MAX_SENTENCE_BYTES="2000000", DEADLINE_MS="60000") as gateway:
        answers: list[httpx.Response] = []
        body = {"sentences": [text]}
        long = threading.Thread(target=lambda: answers.append(gateway.client.post("/classify", json=body, timeout=60)))
        with httpx.Client(base_url=gateway.client.base_url, timeout=60) as other:
            ask(other, "cat")
            long.start()
            start, asked, slowest = time.monotonic(), 0, 0.0
            while long.is_alive():
                before = time.monotonic()
                assert ask(other, "cat oak").status_code == 200
                asked, slowest = asked + 1, max(slowest, time.monotonic() - before)
            took = time.monotonic() - start
        assert refusal(answers[0], 413).startswith("The sentence has 25000 windows of 16 tokens; at most 128 are taken")
        assert slowest < took / 2, f"one of {asked} answers took {slowest:.2f} of {took:.2f} s"


def test_a_student_answers_no_window(stack: Stack, tmp_path: Path) -> None:
    """Though it is sure of every word."""
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME="taught") as gateway:
        wait_until(lambda: ask(gateway.client, "cat").headers.get("x-answered-by") == "student", 20, "the student")
        answer = ask(gateway.client)
        assert (answer.headers["x-answered-by"], answer.headers["x-windows"]) == ("model", "4")
        expected = dict(zip(LABELS, scores(STRENGTH * JOINED["mean"], ProblemType.SINGLE_LABEL).tolist(), strict=True))
        assert by_label(ask(gateway.client, top_k="all").json()) == pytest.approx(expected, abs=1e-6)
        both = gateway.client.post("/classify", json={"sentences": ["cat", LONG]})
        assert both.headers["x-answered-by"] == "both"
        assert both.json()[1] == answer.json()
        assert ask(gateway.client, long_text="truncate").headers["x-answered-by"] == "student"
