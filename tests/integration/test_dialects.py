"""Every dialect answers the numbers of `GET /classify`, under the same limits and keys; an operator may close it."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integration.dialects import (
    MAX_SENTENCES,
    MODELS,
    MOODS,
    TEXTS,
    TOPICS,
    dialects_stack,
    every_score,
    is_ready,
)
from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.stack import Stack
from tests.waiting import wait_until

KEY = "open-sesame"
Scores = dict[str, float]
Ask = Callable[[httpx.Client, list[str], str], list[Scores]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with dialects_stack(tmp_path_factory.mktemp("dialects")) as running:
        yield running


@pytest.fixture(scope="module")
def locked(stack: Stack) -> Iterator[Gateway]:
    """A gateway that asks for a key, and lets two sentences wait."""
    with gateway_beside(stack, stack.log.with_name("locked"), API_KEYS=KEY, MAX_WAITING="2") as gateway:
        yield gateway


def sent(client: httpx.Client, path: str, body: object, **options: Any) -> Any:
    answer = client.post(path, json=body, **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == "1"
    return answer.json()


def by_label(labels: list[dict[str, Any]]) -> Scores:
    return {one["label"]: one["score"] for one in labels}


def tei(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    found = sent(client, "/predict", {"inputs": [[text] for text in texts]}, params={"model": model})
    return [by_label(labels) for labels in found]


def hub(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    found = sent(client, "/", {"inputs": texts, "parameters": {}}, params={"model": model})
    return [by_label(labels) for labels in found]


def sagemaker(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    body = {"inputs": texts, "parameters": {"top_k": None}}
    found = sent(client, "/invocations", body, headers={"X-Amzn-SageMaker-Target-Model": model})
    return [by_label(labels) for labels in found]


def infinity(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    return [by_label(labels) for labels in sent(client, "/classify", {"input": texts, "model": model})["data"]]


def labels_of(client: httpx.Client, model: str) -> list[str]:
    outputs = client.get(f"/v2/models/{model}").json()["outputs"]
    return next(list(each["labels"]) for each in outputs if each["name"] == "scores")


def vllm(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    found = sent(client, "/v1/classify", {"input": texts, "model": model})["data"]
    return [dict(zip(labels_of(client, model), one["probs"], strict=True)) for one in found]


def kserve(client: httpx.Client, texts: list[str], model: str) -> list[Scores]:
    inputs = [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}]
    outputs = {each["name"]: each for each in sent(client, f"/v2/models/{model}/infer", {"inputs": inputs})["outputs"]}
    rows, columns = outputs["scores"]["shape"]
    flat = outputs["scores"]["data"]
    found = [flat[row * columns : (row + 1) * columns] for row in range(rows)]
    return [dict(zip(labels_of(client, model), row, strict=True)) for row in found]


ALL: dict[str, Ask] = {
    "tei": tei,
    "huggingface": hub,
    "sagemaker": sagemaker,
    "infinity": infinity,
    "vllm": vllm,
    "kserve": kserve,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", ALL)
def test_every_dialect_answers_the_numbers_of_classify_to_the_last_digit(
    stack: Stack, dialect: str, model: str
) -> None:
    expected = [by_label(every_score(stack.client, text, model)) for text in TEXTS]
    assert ALL[dialect](stack.client, TEXTS, model) == expected
    assert [ALL[dialect](stack.client, [text], model)[0] for text in TEXTS] == expected


@pytest.fixture(scope="module")
def choosy(stack: Stack) -> Iterator[Gateway]:
    """A gateway whose own API answers no label that is not nearly certain, and `unsure` in its place."""
    settings = {"MIN_SCORE": "0.999", "UNKNOWN_LABEL": "unsure"}
    with gateway_beside(stack, stack.log.with_name("choosy"), **settings) as gateway:
        wait_until(lambda: all(is_ready(gateway.client, name) for name in MODELS), 30, "all models are ready")
        yield gateway


@pytest.mark.parametrize("model", [TOPICS, MOODS])
@pytest.mark.parametrize("dialect", ALL)
def test_settings_that_leave_labels_out_are_those_of_classify_alone(
    stack: Stack, choosy: Gateway, dialect: str, model: str
) -> None:
    text = "cat oak stone"
    own = choosy.client.get("/classify", params={"sentence": text, "model": model})
    assert [one["label"] for one in own.json()] == ["unsure"]
    assert ALL[dialect](choosy.client, [text], model) == [by_label(every_score(stack.client, text, model))]


def test_moderations_have_every_category_and_flag_those_that_reach_min_score(stack: Stack, choosy: Gateway) -> None:
    (found,) = sent(choosy.client, "/v1/moderations", {"input": "🦊 🦊 oak", "model": MOODS})["results"]
    scores = by_label(every_score(stack.client, "🦊 🦊 oak", MOODS))
    assert found["category_scores"] == scores
    assert found["categories"] == {label: score >= 0.999 for label, score in scores.items()}
    assert set(found["categories"].values()) == {True, False}


def test_moderations_answer_the_numbers_and_the_labels_of_classify(stack: Stack) -> None:
    found = sent(stack.client, "/v1/moderations", {"input": TEXTS, "model": MOODS})["results"]
    for text, result in zip(TEXTS, found, strict=True):
        scores = by_label(every_score(stack.client, text, MOODS))
        assert result["category_scores"] == scores
        sentence = f"'{text}'" if text.startswith('"') else text
        answered = stack.client.get("/classify", params={"sentence": sentence, "model": MOODS}).json()
        assert {label for label, is_true in result["categories"].items() if is_true} == set(by_label(answered))
        assert result["flagged"] == bool(answered)
    assert {result["flagged"] for result in found} == {True, False}


ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "tei": ("/predict", {"inputs": "cat"}),
    "root": ("/", {"inputs": "cat"}),
    "huggingface": ("/", {"inputs": "cat", "parameters": {}}),
    "sagemaker": ("/invocations", {"inputs": "cat"}),
    "vllm": ("/v1/classify", {"input": "cat"}),
    "openai": (f"/v1/moderations?model={MOODS}", {"input": "cat", "model": MOODS}),
    "kserve": (
        "/v2/models/topics/infer",
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat"]}]},
    ),
    "infinity": ("/classify", {"input": ["cat"]}),
}


def with_texts(dialect: str, texts: list[str]) -> dict[str, Any]:
    """The body of that dialect with these texts."""
    body = ROUTES[dialect][1]
    if dialect in ("tei", "root"):
        return {**body, "inputs": [[text] for text in texts]}
    if dialect == "kserve":
        return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}]}
    name = "input" if "input" in body else "inputs"
    return {**body, name: texts}


def message(dialect: str, answer: httpx.Response) -> str:
    """The sentence of a refusal, which has to have the shape of its dialect."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if dialect in ("tei", "root") and answer.status_code != 401:
        assert body.keys() == {"error", "error_type"}
        return str(body["error"])
    if dialect == "sagemaker":
        assert body.keys() == {"code", "type", "message"}
        assert body["code"] == answer.status_code
        return str(body["message"])
    if dialect in ("vllm", "openai"):
        assert body["error"].keys() == {"message", "type", "param", "code"}
        return str(body["error"]["message"])
    if dialect == "infinity" and "detail" in body:
        return str(body["detail"][0]["msg"])
    if dialect == "infinity" and isinstance(body["error"], dict):
        assert body["error"].keys() == {"message", "type", "param", "code"}
        return str(body["error"]["message"])
    assert body.keys() == {"error"}
    return str(body["error"])


@pytest.mark.parametrize("dialect", ROUTES)
def test_a_blank_text_is_refused(stack: Stack, dialect: str) -> None:
    answer = stack.client.post(ROUTES[dialect][0], json=with_texts(dialect, ["cat", " \n"]))
    assert answer.status_code == 400, answer.text
    assert "is empty" in message(dialect, answer)


@pytest.mark.parametrize("dialect", ROUTES)
def test_more_texts_than_the_bound_are_refused(stack: Stack, dialect: str) -> None:
    path = ROUTES[dialect][0]
    assert stack.client.post(path, json=with_texts(dialect, ["cat"] * MAX_SENTENCES)).status_code == 200
    answer = stack.client.post(path, json=with_texts(dialect, ["cat"] * (MAX_SENTENCES + 1)))
    expected = {"tei": 413, "root": 413, "infinity": 422}.get(dialect, 400)
    assert answer.status_code == expected
    assert f"at most {MAX_SENTENCES} are taken" in message(dialect, answer)


@pytest.mark.parametrize(
    "dialect", [name for name in ROUTES if name != "infinity"]
)  # of which nothing is known before the body is
def test_a_body_that_is_too_long_or_no_json_is_refused(stack: Stack, dialect: str) -> None:
    path = ROUTES[dialect][0]
    refused = "root" if dialect == "huggingface" else dialect  # what cannot be told apart gets TEI's errors
    long = stack.client.post(path, json=with_texts(dialect, ["cat " * 6000]))
    assert (long.status_code, "longer than 20000 bytes" in message(refused, long)) == (413, True)
    for content in (b"{", b"\xff", b"[" * 9000):
        answer = stack.client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert "JSON" in message(refused, answer) or "parsing" in message(refused, answer)
    other = stack.client.post(path, content=b"\x00", headers={"Content-Type": "image/png"})
    assert (other.status_code, "image/png" in message(refused, other)) == (415, True)
    assert other.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("dialect", ROUTES)
@pytest.mark.parametrize("wrong", [None, 7, [], [7], {"text": 7}, [["cat", 7]]])
def test_inputs_of_another_shape_are_refused(stack: Stack, dialect: str, wrong: object) -> None:
    path, body = ROUTES[dialect]
    name = "inputs" if "inputs" in body else "input"
    answer = stack.client.post(path, json={**body, name: wrong})
    assert answer.status_code == (422 if dialect in ("tei", "root", "infinity") else 400)
    assert message(dialect, answer)


@pytest.mark.parametrize("dialect", ROUTES)
def test_a_lone_surrogate_is_refused(stack: Stack, dialect: str) -> None:
    path, body = ROUTES[dialect]
    content = httpx.Request("POST", "http://x", json=body).content.replace(b'"cat"', b'"\\ud800"')
    answer = stack.client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert message(dialect, answer)


@pytest.mark.parametrize("dialect", [name for name in ROUTES if name != "infinity"])
def test_another_method_is_refused_with_those_that_are_right(stack: Stack, dialect: str) -> None:
    path = ROUTES[dialect][0]
    answer = stack.client.put(path, json={})
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    if path != "/":  # the page's, too
        message(dialect, answer)


def test_paths_that_a_dialect_has_and_this_gateway_has_not_are_refused_in_its_words(stack: Stack) -> None:
    for path in ("/v1/chat/completions", "/v1/embeddings", "/v1"):
        assert message("openai", refused(stack.client.post(path, json={}), 404)) == "Not Found."
    assert refused(stack.client.get("/v2/models/topics/config"), 404).json() == {"error": "Not Found."}
    assert refused(stack.client.get("/v3"), 404).json() == {"error": "Not Found."}


def refused(answer: httpx.Response, status: int) -> httpx.Response:
    assert answer.status_code == status, answer.text
    return answer


@pytest.mark.parametrize("dialect", ROUTES)
def test_a_key_is_asked_for_on_every_route(locked: Gateway, dialect: str) -> None:
    path, body = ROUTES[dialect]
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = refused(locked.client.post(path, json=body, headers=headers), 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "API key" in message("root" if dialect == "huggingface" else dialect, answer)
    assert locked.client.post(path, json=body, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_models_ask_for_the_key_and_health_does_not(locked: Gateway) -> None:
    for path in ("/info", "/v1/models", "/v1/models/topics", "/v2", "/v2/models/topics", "/v2/models/topics/ready"):
        assert refused(locked.client.get(path), 401).headers["www-authenticate"] == "Bearer"
        assert locked.client.get(path, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    for path in ("/health", "/ping", "/v2/health/live", "/v2/health/ready"):
        assert locked.client.get(path).status_code == 200


@pytest.mark.parametrize("dialect", ROUTES)
def test_too_much_at_once_is_refused_for_now(locked: Gateway, dialect: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = locked.client.post(ROUTES[dialect][0], json=with_texts(dialect, ["cat"] * 3), headers=headers)
    assert answer.status_code == (503 if dialect in ("kserve", "sagemaker") else 429)
    assert answer.headers["retry-after"] == "1"
    assert "Too busy" in message(dialect, answer)
