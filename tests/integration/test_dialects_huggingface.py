"""Hugging Face's own client, TEI's routes, and what callers of SageMaker and Infinity send, against the gateway."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import huggingface_hub
import pytest
import requests
from tokenizers import Tokenizer

from repository.manifest import TOKENIZER_FILE
from tests.integration.dialects import (
    MAX_LENGTH,
    MAX_SENTENCES,
    MODELS,
    MOODS,
    PRICE,
    TEXTS,
    TOPICS,
    dialects_stack,
    every_score,
)
from tests.integration.gateways import gateway_beside
from tests.integration.stack import Stack

LONG, CUT = "cat " * 10 + "oak " * 30, "cat " * 10 + "oak " * 4
EXPECTED_INFO = {
    "model_id": TOPICS,
    "model_dtype": "float32",
    "max_input_length": MAX_LENGTH,
    "max_client_batch_size": MAX_SENTENCES,
    "auto_truncate": False,
    "version": "1",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with dialects_stack(tmp_path_factory.mktemp("huggingface")) as running:
        yield running


def shown(answer: list[Any]) -> list[dict[str, Any]]:
    return [{"label": one.label, "score": one.score} for one in answer]


def refusal(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("model", MODELS)
def test_hugging_face_s_client_reads_every_label(stack: Stack, model: str) -> None:
    address = f"{stack.url}/?model={model}"
    client = huggingface_hub.InferenceClient(address, token="none")
    for text in TEXTS:
        expected = every_score(stack.client, text, model)
        assert shown(client.text_classification(text)) == expected
        assert shown(client.text_classification(text, top_k=2)) == expected[:2]
    by_base = huggingface_hub.InferenceClient(base_url=stack.url, token="none").text_classification("cat")
    assert shown(by_base) == every_score(stack.client, "cat", TOPICS)


def test_the_asynchronous_client_gets_the_same(stack: Stack) -> None:
    async def asked() -> list[Any]:
        client = huggingface_hub.AsyncInferenceClient(stack.url, token="none")
        return await asyncio.gather(*(client.text_classification(text) for text in TEXTS))

    assert [shown(answer) for answer in asyncio.run(asked())] == [
        every_score(stack.client, text, TOPICS) for text in TEXTS
    ]


def test_the_client_may_name_what_makes_scores_of_logits(stack: Stack) -> None:
    client = huggingface_hub.InferenceClient(stack.url, token="none")
    none = client.text_classification("cat", function_to_apply="none")
    assert [(one.label, one.score) for one in none] == [("Animal", pytest.approx(1.3)), ("Other", 0), ("Plant", 0)]
    sigmoid = client.text_classification("cat", function_to_apply="sigmoid")
    assert [one.score for one in sigmoid] == [pytest.approx(0.785835), 0.5, 0.5]
    softmax = huggingface_hub.InferenceClient(f"{stack.url}/?model={MOODS}", token="none").text_classification(
        "cat", function_to_apply="softmax"
    )
    assert shown(softmax) == every_score(stack.client, "cat", TOPICS)


def test_the_client_raises_for_a_text_that_is_refused(stack: Stack) -> None:
    client = huggingface_hub.InferenceClient(stack.url, token="none")
    for text, words in ((LONG, "has 42 tokens"), (" ", "is empty")):
        with pytest.raises(huggingface_hub.errors.HfHubHTTPError, match=words) as refused:
            client.text_classification(text)
        assert refused.value.response.status_code == 400


def test_a_long_text_is_cut_where_the_parameters_say_so(stack: Stack) -> None:
    answer = stack.client.post("/", json={"inputs": LONG, "parameters": {"truncation": True}})
    assert answer.json() == [every_score(stack.client, CUT, TOPICS)]
    assert answer.headers["x-truncated"] == "true"


@pytest.mark.parametrize(
    "parameters",
    [{"top_k": 0}, {"top_k": "2"}, {"function_to_apply": "relu"}, {"max_length": 4}, {"candidate_labels": []}, 7],
)
def test_parameters_that_a_text_classifier_has_not_are_refused(stack: Stack, parameters: object) -> None:
    body = {"inputs": "cat", "parameters": parameters}
    where = "parameters: top_k" if isinstance(parameters, dict) else "parameters"
    assert where in refusal(stack.client.post("/invocations", json=body), 400)["message"]
    status = 400 if isinstance(parameters, dict) else 422
    assert where in refusal(stack.client.post("/", json=body), status)["error"]


def test_without_parameters_the_root_is_tei_s(stack: Stack) -> None:
    for inputs in ("cat", ["cat", "oak"], [["cat"], ["oak"]]):
        assert stack.client.post("/", json={"inputs": inputs}).json() == predict(stack, inputs).json()
    assert stack.client.get("/").headers["content-type"].startswith("text/html"), "the page is where it was"


def predict(stack: Stack, inputs: object) -> httpx.Response:
    return stack.client.post("/predict", json={"inputs": inputs})


def test_where_tei_is_closed_the_root_is_inference_endpoints_alone(stack: Stack) -> None:
    with gateway_beside(stack, stack.log.with_name("no-tei"), DIALECTS="huggingface") as gateway:
        answer = gateway.client.post("/", json={"inputs": ["cat", "oak"]})
        assert answer.json() == [every_score(stack.client, text, TOPICS) for text in ("cat", "oak")]
        assert refusal(gateway.client.post("/", json={"inputs": 7}), 400).keys() == {"error"}
        assert gateway.client.post("/predict", json={"inputs": "cat"}).status_code == 404
        for path in ("/v2", "/v1/models", "/info", "/health", "/ping"):
            assert refusal(gateway.client.get(path), 404) == {"error": "Not Found."}
        own = gateway.client.post("/classify", json={"input": ["cat"]})
        assert "error" in refusal(own, 422)
    with gateway_beside(stack, stack.log.with_name("none"), DIALECTS="none") as gateway:
        assert gateway.client.post("/", json={"inputs": "cat"}).status_code == 405
        assert gateway.client.get("/classify?sentence=cat").status_code == 200
        assert set(gateway.client.get("/openapi.json").json()["paths"]) & {"/v2", "/predict", "/ping"} == set()


def test_tei_tells_of_its_model(stack: Stack) -> None:
    info = stack.client.get("/info").json()
    assert {name: info[name] for name in EXPECTED_INFO} == EXPECTED_INFO
    assert info["model_type"]["classifier"] == {
        "id2label": {"0": "Animal", "1": "Other", "2": "Plant"},
        "label2id": {"Animal": 0, "Other": 1, "Plant": 2},
    }
    assert len(info["model_sha"]) == 64
    assert stack.client.get("/info", params={"model": PRICE}).json()["model_id"] == PRICE
    assert refusal(stack.client.get("/info?model=nothing"), 404)["error_type"] == "Validation"
    assert (stack.client.get("/health").status_code, stack.client.get("/health").content) == (200, b"")


def test_tei_tokenizes_and_decodes_as_the_version_s_tokenizer_does(stack: Stack) -> None:
    tokenizer = Tokenizer.from_file(str(stack.repository / TOPICS / "1" / TOKENIZER_FILE))
    for text in [*TEXTS, LONG]:
        (tokens,) = stack.client.post("/tokenize", json={"inputs": text}).json()
        encoding = tokenizer.encode(text)
        assert [token["id"] for token in tokens] == encoding.ids
        assert [token["special"] for token in tokens] == [bool(each) for each in encoding.special_tokens_mask]
        assert [token["text"] for token in tokens if not token["special"]] == text.split()
        ids = {"ids": encoding.ids, "skip_special_tokens": False}
        assert stack.client.post("/decode", json=ids).json() == [tokenizer.decode(encoding.ids, False)]
    bare = stack.client.post("/tokenize", json={"inputs": ["cat", "🦊 oak"], "add_special_tokens": False}).json()
    assert [[(token["start"], token["stop"]) for token in tokens] for tokens in bare] == [[(0, 3)], [(0, 1), (2, 5)]]
    ids = [[token["id"] for token in tokens] for tokens in bare]
    assert stack.client.post("/decode", json={"ids": ids}).json() == ["cat", "🦊 oak"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/tokenize", {"inputs": []}, 422),
        ("/tokenize", {"inputs": ["cat"] * (MAX_SENTENCES + 1)}, 413),
        ("/tokenize", {"inputs": 7}, 422),
        ("/tokenize", {}, 422),
        ("/decode", {"ids": []}, 400),
        ("/decode", {"ids": [-1]}, 422),
        ("/decode", {"ids": [2**32]}, 422),
        ("/decode", {"ids": ["1"]}, 422),
        ("/decode", {"ids": [1, [2]]}, 422),
        ("/decode", {"ids": [[1]] * (MAX_SENTENCES + 1)}, 413),
    ],
)
def test_tei_refuses_what_it_cannot_tokenize_or_decode(
    stack: Stack, path: str, body: dict[str, Any], status: int
) -> None:
    assert refusal(stack.client.post(path, json=body), status).keys() == {"error", "error_type"}


def test_ids_that_no_vocabulary_has_are_left_out(stack: Stack) -> None:
    assert stack.client.post("/decode", json={"ids": [[2**32 - 1], []]}).json() == ["", ""]


def test_sagemaker_s_health_and_invocations_answer_a_plain_caller(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/ping", timeout=10).status_code == 200
    address = f"{stack.url}/invocations"
    body = {"inputs": "cat"}
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "a=b", "Accept": "application/json"}
    answer = requests.post(address, json=body, headers=headers, timeout=10)
    assert answer.json() == every_score(stack.client, "cat", TOPICS)[:1]


def test_sagemaker_reads_tables_and_lines(stack: Stack) -> None:
    texts = ["cat, oak", 'a "stone"', "猫\nдуб"]
    expected = [every_score(stack.client, text, TOPICS)[0] for text in texts]
    table = '\ufeffinputs\r\n"cat, oak"\r\n"a ""stone"""\r\n"猫\nдуб"\r\n'
    lines = "\n".join(json.dumps({"inputs": text}, ensure_ascii=False) for text in texts)
    for media_type, content in (("text/csv", table), ("application/jsonlines", lines + "\n\n")):
        headers = {"Content-Type": media_type}
        answer = requests.post(f"{stack.url}/invocations", content.encode(), headers=headers, timeout=10)
        assert answer.json() == expected, media_type


@pytest.mark.parametrize(
    ("media_type", "content", "status", "words"),
    [
        ("text/csv", "text\ncat\n", 400, "no column inputs"),
        ("text/csv", "", 400, "no column inputs"),
        ("text/csv", "inputs\n", 400, "no text"),
        ("text/csv", "inputs\n" + "cat\n" * (MAX_SENTENCES + 1), 400, f"more than {MAX_SENTENCES} texts"),
        ("text/csv; charset=utf-7", "inputs\ncat\n", 415, "charset=utf-7"),
        ("application/jsonlines", '{"inputs": "cat"}\n{', 400, "Line 2"),
        ("application/jsonlines", '{"inputs": "cat", "parameters": {"top_k": 2}}', 400, "no parameters"),
        ("application/jsonlines", "\n", 400, "no line"),
        ("application/x-image", "x", 415, "application/x-image"),
        ("application/x-npy", "x", 415, "application/x-npy"),
    ],
)
def test_sagemaker_refuses_what_it_cannot_read(
    stack: Stack, media_type: str, content: str, status: int, words: str
) -> None:
    answer = stack.client.post("/invocations", content=content.encode(), headers={"Content-Type": media_type})
    told = refusal(answer, status)
    assert (told["code"], words in told["message"]) == (status, True), told


def test_sagemaker_answers_json_alone(stack: Stack) -> None:
    answer = stack.client.post("/invocations", json={"inputs": "cat"}, headers={"Accept": "text/csv"})
    assert "text/csv" in refusal(answer, 415)["message"]


def test_infinity_s_answer_has_its_fields(stack: Stack) -> None:
    answer = stack.client.post("/classify", json={"model": TOPICS, "input": [" cat ", "дуб"], "user": "x"}).json()
    assert (answer["object"], answer["model"]) == ("classify", TOPICS)
    assert answer["data"] == [every_score(stack.client, text, TOPICS) for text in ("cat", "дуб")]
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert answer["id"].startswith("infinity-")
    raw = stack.client.post("/classify", json={"input": ["cat"], "raw_scores": True}).json()
    assert raw["data"][0][0] == {"label": "Animal", "score": pytest.approx(1.3)}


def test_infinity_s_errors_have_its_shapes(stack: Stack) -> None:
    client = stack.client
    missing = refusal(client.post("/classify", json={"model": "nothing", "input": ["cat"]}), 400)
    assert missing["error"].keys() == {"message", "type", "param", "code"}
    wrong = refusal(client.post("/classify", json={"input": "cat"}), 422)
    assert wrong["detail"][0]["loc"] == ["body", "input"]


@pytest.mark.parametrize("body", [{"sentences": ["cat"], "input": ["cat"]}, {"sentence": "cat"}, {}, ["cat"]])
def test_a_body_that_is_not_infinity_s_is_refused_in_the_gateway_s_words(stack: Stack, body: object) -> None:
    assert refusal(stack.client.post("/classify", json=body), 422).keys() == {"error"}


def test_requests_are_counted_by_route(stack: Stack) -> None:
    text = stack.client.get("/metrics").text
    for route in ("/", "/classify", "/invocations", "/tokenize", "/info"):
        assert f'classifier_requests_total{{model="{TOPICS}",route="{route}",status="200"}}' in text
