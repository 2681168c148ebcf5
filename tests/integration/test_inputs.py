"""Whatever is sent is answered rightly or refused in one clear sentence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from repository.manifest import ProblemType
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant", "rock": "Mineral", "música": "Art"}
EVERY_LABEL = ["Animal", "Plant", "Art", "Mineral"]  # of "cat cat oak": best first, equals as the manifest has them
MAX_LENGTH = 16


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each problem type; the last knows one label."""
    folder = tmp_path_factory.mktemp("inputs")
    words = {"classifier": WORDS, "multi": WORDS, "price": {"cat": "price", "oak": "price"}}
    problems = {"multi": ProblemType.MULTI_LABEL, "price": ProblemType.REGRESSION}
    for model, vocabulary in words.items():
        problem = problems.get(model, ProblemType.SINGLE_LABEL)
        version = write_version(folder / model, vocabulary, MAX_LENGTH, weight=1.0, problem_type=problem)
        publish(folder / "repository", model, version)
    return folder / "repository"


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(repository, repository.parent / "log") as running:
        yield running


@pytest.fixture(scope="module")
def multi(stack: Stack) -> Iterator[Gateway]:
    with gateway_beside(stack, stack.log.with_name("log-multi"), MODEL_NAME="multi") as gateway:
        yield gateway


def post(stack: Stack, body: Any) -> httpx.Response:
    return stack.client.post("/classify", json=body)


def refusal(answer: httpx.Response, status: int) -> str:
    """The one sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def labels(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [label["label"] for label in answer.json()]


def test_many_sentences_are_answered_in_their_order(stack: Stack) -> None:
    sentences = [("cat", "oak", "rock")[number % 3] + " the" * (number * 7 % 30) for number in range(200)]
    answer = post(stack, {"sentences": sentences})
    assert [row[0]["label"] for row in answer.json()] == [("Animal", "Plant", "Mineral")[n % 3] for n in range(200)]
    alone = [stack.classify(sentence).json()[0]["score"] for sentence in sentences[:20]]
    assert [row[0]["score"] for row in answer.json()[:20]] == pytest.approx(alone, abs=1e-6)
    assert answer.headers["x-model-version"] == "1"


def test_an_idea_is_its_title_and_its_map_s_joined_by_a_space(stack: Stack) -> None:
    ideas = [{"idea_title": "cat", "map_title": "oak oak"}, {"idea_title": "rock", "map_title": ""}]
    assert post(stack, {"ideas": ideas}).json() == post(stack, {"sentences": ["cat oak oak", "rock "]}).json()


@pytest.mark.parametrize(
    ("top_k", "count"), [("1", 1), ("2", 2), ("4", 4), ("99", 4), ("0", 4), ("all", 4)]
)  # as the pipeline's, but 0 in place of None
def test_top_k_is_how_many_labels_are_answered_best_first(stack: Stack, top_k: str, count: int) -> None:
    got = stack.client.get("/classify", params={"sentence": "cat cat oak", "top_k": top_k})
    assert labels(got) == EVERY_LABEL[:count]
    scores = [label["score"] for label in got.json()]
    assert scores == sorted(scores, reverse=True)
    assert count < 4 or sum(scores) == pytest.approx(1)
    in_json = int(top_k) if top_k.isdecimal() else top_k
    assert post(stack, {"sentences": ["cat cat oak"], "top_k": in_json}).json() == [got.json()]


def test_null_is_as_good_as_not_given(stack: Stack) -> None:
    body = {"sentences": ["cat cat oak"], "ideas": None, "top_k": None}
    assert post(stack, body).json() == post(stack, {"sentences": ["cat cat oak"]}).json()


@pytest.mark.parametrize("top_k", ["-1", "many", "1.5", "", "null"])
def test_a_top_k_that_is_no_count_is_refused(stack: Stack, top_k: str) -> None:
    assert "top_k" in refusal(stack.client.get("/classify", params={"sentence": "cat", "top_k": top_k}), 422)
    assert "top_k" in refusal(post(stack, {"sentences": ["cat"], "top_k": top_k}), 422)


def test_a_multi_label_model_answers_every_label_over_the_threshold(stack: Stack, multi: Gateway) -> None:
    def ask(**params: str) -> httpx.Response:
        return multi.client.get("/classify", params=params)

    both = ask(sentence="cat cat oak")
    assert labels(both) == EVERY_LABEL  # a logit of 0 is a score of 0.5, which reaches the threshold
    assert [label["score"] for label in both.json()] == pytest.approx([0.8807971, 0.7310586, 0.5, 0.5])
    assert labels(ask(sentence="cat", top_k="1")) == ["Animal"]
    with gateway_beside(stack, multi.log.with_name("log-strict"), MODEL_NAME="multi", THRESHOLD="0.8") as strict:
        assert labels(strict.client.get("/classify", params={"sentence": "cat cat oak"})) == ["Animal"]
        assert strict.client.get("/classify", params={"sentence": "unknown"}).json() == []
        assert len(strict.client.get("/classify", params={"sentence": "unknown", "top_k": "0"}).json()) == 4


def test_a_regression_answers_the_logit_itself(stack: Stack) -> None:
    with gateway_beside(stack, stack.log.with_name("log-price"), MODEL_NAME="price") as gateway:
        answer = gateway.client.get("/classify", params={"sentence": "cat cat oak"})
        assert answer.json() == [{"label": "price", "score": 3.0}]


WRONG_BODIES: list[Any] = [
    [],
    "cat",
    7,
    None,
    {},
    {"sentences": None},
    {"sentences": []},
    {"sentences": "cat"},
    {"sentences": [7]},
    {"sentences": [None]},
    {"sentences": [["cat"]]},
    {"sentences": {"0": "cat"}},
    {"sentence": "cat"},
    {"sentences": ["cat"], "ideas": [{"idea_title": "a", "map_title": "b"}]},
    {"sentences": ["cat"], "top_K": 2},
    {"sentences": ["cat"], "top_k": [1]},
    {"sentences": ["cat"], "top_k": 1e300},
    {"sentences": ["cat"], "truncate": "perhaps"},
    {"ideas": []},
    {"ideas": ["cat"]},
    {"ideas": [{"idea_title": "cat"}]},
    {"ideas": [{"idea_title": "cat", "map_title": None}]},
    {"ideas": [{"idea_title": "cat", "map_title": "oak", "map": "oak"}]},
]


@pytest.mark.parametrize("body", WRONG_BODIES, ids=repr)
def test_json_of_the_wrong_shape_is_refused(stack: Stack, body: Any) -> None:
    assert refusal(post(stack, body), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"cat",
        b'{"sentences": ["cat"}',
        b"[" * 100_000,
        b'{"sentences": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"sentences": ["cat"], "top_k": NaN}',
        b'{"sentences": ["cat"], "top_k": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_json_is_refused(stack: Stack, body: bytes) -> None:
    answer = stack.client.post("/classify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert refusal(answer, answer.status_code)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "image/png", "json"]
)
def test_a_body_of_another_type_is_refused_by_the_header_that_says_so(stack: Stack, content_type: str) -> None:
    for path in ("/classify", "/predict"):
        answer = stack.client.post(path, content=b"sentence=cat", headers={"content-type": content_type})
        assert answer.status_code == 415
        error = answer.json()["error"]
        assert f"Content-Type: {content_type}" in error
        assert "Content-Type: application/json" in error


@pytest.mark.parametrize(("blank", "place"), [(["cat", "oak", " "], 3), (["", "cat"], 1), (["cat", "\u200b\x00"], 2)])
def test_a_blank_sentence_among_many_is_named(stack: Stack, blank: list[str], place: int) -> None:
    assert f"Sentence {place} is empty" in refusal(post(stack, {"sentences": blank}), 422)


def test_half_a_surrogate_pair_is_refused(stack: Stack) -> None:
    answer = stack.client.post(
        "/classify", content=rb'{"sentences": ["cat", "cat \ud800"]}', headers={"content-type": "application/json"}
    )
    assert "Sentence 2 has a lone surrogate" in refusal(answer, 422)
    assert labels(stack.client.get("/classify", params={"sentence": "\U0001f600 cat"})) == ["Animal"]


def test_more_sentences_than_are_taken_are_refused(stack: Stack) -> None:
    assert "100000 sentences; at most 1024" in refusal(post(stack, {"sentences": ["cat"] * 100_000}), 413)
    assert len(post(stack, {"sentences": ["cat"] * 1024}).json()) == 1024


def test_a_megabyte_of_text_is_refused(stack: Stack) -> None:
    error = refusal(post(stack, {"sentences": ["cat", "cat " * 262_144]}), 413)
    assert error == "Sentence 2 has 1048576 bytes; at most 131072 are taken."


@pytest.mark.parametrize("path", ["/classify", "/predict"])
def test_a_body_that_is_too_long_is_refused_and_the_connection_stays(stack: Stack, path: str) -> None:
    body = json.dumps({"sentences": ["cat"], "inputs": "cat", "more": "x" * 4_194_304}).encode()
    headers = {"content-type": "application/json"}
    for content in (body, (body[at : at + 65_536] for at in range(0, len(body), 65_536))):  # declared, and in chunks
        answer = stack.client.post(path, content=content, headers=headers)
        assert answer.status_code == 413, answer.text
        assert "longer than 4194304 bytes" in answer.json()["error"]
        assert labels(stack.classify("cat")) == ["Animal"]


def test_a_sentence_past_the_model_s_limit_is_cut_and_said_to_be(stack: Stack) -> None:
    long = "cat " * (MAX_LENGTH - 2) + "oak " * 50
    answer = stack.classify(long)
    assert answer.headers["x-truncated"] == "true"
    assert answer.json() == stack.classify("cat " * (MAX_LENGTH - 2)).json()
    assert "x-truncated" not in stack.classify("cat " * (MAX_LENGTH - 2)).headers
    assert post(stack, {"sentences": ["cat", long, "oak", long]}).headers["x-truncated"] == "2 of 4"


def test_a_sentence_that_must_not_be_cut_is_refused_with_both_lengths(stack: Stack) -> None:
    long = "cat " * 100  # and two special tokens
    answer = stack.client.get("/classify", params={"sentence": long, "truncate": "false"})
    assert refusal(answer, 413) == "The sentence has 102 tokens; the model takes at most 16."
    answer = post(stack, {"sentences": ["cat", long], "truncate": False})
    assert refusal(answer, 413) == "Sentence 2 has 102 tokens; the model takes at most 16."
    fits = {"sentence": "cat " * (MAX_LENGTH - 2), "truncate": "false"}
    assert labels(stack.client.get("/classify", params=fits)) == ["Animal"]


def test_a_sentence_given_twice_is_refused(stack: Stack) -> None:
    error = refusal(stack.client.get("/classify?sentence=cat&sentence=oak"), 422)
    assert "more than once" in error


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/classify", 405), ("DELETE", "/classify", 405), ("GET", "/nothing", 404)],
)
def test_a_wrong_method_or_path_is_refused_in_json(stack: Stack, method: str, path: str, status: int) -> None:
    assert refusal(stack.client.request(method, path), status)
