"""Callers by gRPC get what callers by HTTP get: labels, scores, refusals, and what headers tell."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import CLASSIFIER, INFERENCE, message
from repository.manifest import ProblemType
from tests.integration.gateways import publish
from tests.integration.rpc import CLASSIFY, Caller, ClassifyRequest, labels_of
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "música": "Art", "日本": "Place"}
TOPICS = {"cat": "Pets", "oak": "Trees", "sun": "Sky"}
LONG = "cat oak " * 40
Response = message("grpc.health.v1.HealthCheckResponse")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two models, of one label and of several; a third one has no version that can be used."""
    folder = tmp_path_factory.mktemp("grpc")
    repository = folder / "repository"
    publish(repository, "classifier", write_version(folder / "1", {**WORDS, "cat": "Old"}, weight=1.0))
    publish(repository, "classifier", write_version(folder / "2", WORDS, weight=1.0))
    several = write_version(folder / "several", TOPICS, weight=1.0, problem_type=ProblemType.MULTI_LABEL)
    publish(repository, "topics", several)
    (port,) = free_ports(1)
    settings = {"GRPC_PORT": str(port), "MAX_SENTENCES": "64", "MAX_BODY_BYTES": "200000"}
    with Stack(repository, folder / "log", MODEL_NAMES="classifier,topics,none", **settings) as running:
        running.ports["GRPC_PORT"] = port
        for model in ("classifier", "topics"):
            wait_until(lambda: is_served(running, model), 30, f"{model} is ready")  # noqa: B023
        yield running


def caller_of(stack: Stack) -> Caller:
    return Caller(stack.ports["GRPC_PORT"])


def is_served(stack: Stack, model: str) -> bool:
    return bool(caller_of(stack).health(model).reply.status == Response.SERVING)


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Caller:
    return caller_of(stack)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"top_k": 0},
    {"top_k": 2},
    {"top_k": 2**31 - 1},
    {"version": 1},
    {"model": "topics"},
    {"model": "topics", "top_k": 0},
    {"model": "topics", "min_score": 0.99},
    {"min_score": 0.9, "unknown": "Ninguno ñ"},
    {"truncate": True},
    {"long_text": "windows", "window_join": "first-last"},
    {"long_text": "truncate"},
    {"calibrated": False},
]
SENTENCES = [
    "cat oak cat",
    "la música",
    "日本 日本 oak",
    '"cat"',
    "cat\r\n\toak",
    "e\u0301 🐈 cat",
    "nothing known",
    LONG,
    "oak",
]
ENUMS = {
    "windows": "LONG_TEXT_WINDOWS",
    "truncate": "LONG_TEXT_TRUNCATE",
    "first-last": "WINDOW_JOIN_FIRST_LAST",
    "mean": "WINDOW_JOIN_MEAN",
    "max": "WINDOW_JOIN_MAX",
}


def as_fields(options: dict[str, Any]) -> dict[str, Any]:
    return {name: ENUMS[value] if name in ("long_text", "window_join") else value for name, value in options.items()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_both_ways_give_the_same_labels_and_scores(stack: Stack, caller: Caller, options: dict[str, Any]) -> None:
    by_http = stack.client.post("/classify", json={"sentences": SENTENCES, **options})
    assert by_http.status_code == 200, by_http.text
    by_grpc = caller.classify(*SENTENCES, **as_fields(options))
    assert labels_of(by_grpc) == by_http.json()
    assert by_grpc.reply.version == int(by_http.headers["x-model-version"])
    assert by_grpc.reply.model == options.get("model", "classifier")
    shared = ("x-model-version", "x-truncated", "x-windows", "x-calibrated")
    assert {name: by_grpc.told.get(name) for name in shared} == {name: by_http.headers.get(name) for name in shared}
    cut = [result.cut_tokens > 0 for result in by_grpc.reply.results]
    in_windows = options.get("long_text") == "windows"
    assert cut == [sentence is LONG and not in_windows for sentence in SENTENCES]
    assert (by_grpc.reply.results[SENTENCES.index(LONG)].windows > 1) == in_windows


def test_one_sentence_and_a_pair_are_answered_as_by_http(stack: Stack, caller: Caller) -> None:
    for sentence in SENTENCES:
        assert labels_of(caller.classify(sentence)) == [stack.classify(sentence).json()]
    pairs = [("cat", "oak oak"), ("日本", "")]
    by_http = stack.client.post("/classify", json={"pairs": pairs, "top_k": 0})
    by_grpc = caller.send(ClassifyRequest(pairs=[{"first": a, "second": b} for a, b in pairs], top_k=0))
    assert labels_of(by_grpc) == by_http.json()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"sentences": ["cat", "  \t"]}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat " * 40_000]}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat"] * 65}, "INVALID_ARGUMENT"),
    ({"sentences": [LONG], "truncate": False}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat"], "model": "unheard of"}, "NOT_FOUND"),
    ({"sentences": ["cat"], "model": "none"}, "UNAVAILABLE"),
    ({"sentences": ["cat"], "version": 77}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat"], "calibrated": True}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat"], "coverage": 0.9, "top_k": 2}, "INVALID_ARGUMENT"),
    ({"sentences": ["cat"], "receipt": True}, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("body", "code"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_told_in_the_words_that_http_has(
    stack: Stack, caller: Caller, body: dict[str, Any], code: str
) -> None:
    by_http = stack.client.post("/classify", json=body)
    by_grpc = caller.send(ClassifyRequest(**body))
    assert by_http.status_code >= 400
    assert (by_grpc.code, by_grpc.details) == (code, by_http.json()["error"])
    assert ("retry-after" in by_grpc.told) == ("retry-after" in by_http.headers)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Give one of sentences and pairs."),
        ({"sentences": ["cat"], "pairs": [{"first": "a", "second": "b"}]}, "Give one of sentences and pairs."),
        ({"sentences": ["cat"], "top_k": -1}, "top_k: "),
        ({"sentences": ["cat"], "version": 0}, "version: "),
        ({"sentences": ["cat"], "min_score": float("nan")}, "min_score: "),
        ({"sentences": ["cat"], "unknown": "a\nb"}, "unknown: "),
        ({"sentences": ["cat"], "long_text": 9}, "long_text: 9 is none of LONG_TEXT_TRUNCATE, LONG_TEXT_WINDOWS."),
    ],
    ids=str,
)
def test_options_out_of_bounds_are_refused_by_their_names(caller: Caller, fields: dict[str, Any], words: str) -> None:
    refused = caller.send(ClassifyRequest(**fields))
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.details.startswith(words)


def raw(caller: Caller, path: str = CLASSIFY) -> Any:
    """A method that sends bytes as they are."""
    return caller.channel.unary_unary(path)


@pytest.mark.parametrize(
    ("sent", "compression", "code", "words"),
    [
        (b"\xff\xff\xff", None, "INVALID_ARGUMENT", "is no text_classifier.v1.ClassifyRequest"),
        (b"\x0a\x02\xff\xfe", None, "INVALID_ARGUMENT", "not UTF-8"),
        (b"\x0a\x03\xed\xa0\x80", None, "INVALID_ARGUMENT", "not UTF-8"),  # half a surrogate pair
        (b"", None, "INVALID_ARGUMENT", "Give one of sentences and pairs."),
        (b"x" * 200_001, None, "RESOURCE_EXHAUSTED", "larger than max"),
        (b"x" * 50_000_000, grpc.Compression.Gzip, "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_bytes_that_are_no_request_are_refused(
    caller: Caller, sent: bytes, compression: Any, code: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        raw(caller)(sent, compression=compression, timeout=30)
    assert refused.value.code().name == code
    assert words in refused.value.details()
    assert labels_of(caller.classify("cat"))[0][0]["label"] == "Animal"


def test_a_packed_message_is_read(caller: Caller) -> None:
    request = ClassifyRequest(sentences=["cat oak cat"] * 50)
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert len(labels_of(caller.send(request, compression=compression))) == 50


def test_fields_of_later_clients_are_no_mistake_and_unknown_methods_are(caller: Caller) -> None:
    later = ClassifyRequest(sentences=["cat"]).SerializeToString() + b"\xfa\x3e\x03new"  # field 1007
    assert raw(caller)(later)
    for path in (f"/{CLASSIFIER}/Guess", "/nothing.at.All/Classify", f"/{INFERENCE}/ModelStreamInfer"):
        with pytest.raises(grpc.RpcError) as refused:
            raw(caller, path)(b"", timeout=30)
        assert refused.value.code().name == "UNIMPLEMENTED"


def test_a_call_without_a_message_is_refused(caller: Caller) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        caller.channel.stream_unary(CLASSIFY)(iter(()), timeout=30)
    assert refused.value.code().name == "INVALID_ARGUMENT"
    assert refused.value.details() == "The call ended before its message was whole."


def test_the_callers_own_id_is_kept_and_one_that_is_none_is_replaced(stack: Stack, caller: Caller) -> None:
    request = ClassifyRequest(sentences=["cat"])
    assert caller.send(request, metadata=[("x-request-id", "mine-7")]).told["x-request-id"] == "mine-7"
    ids = {caller.send(request, metadata=[("x-request-id", given)]).told["x-request-id"] for given in ("a b", "{}")}
    assert len(ids) == 2
    assert all(len(found) == 32 for found in ids)
    refused = caller.send(ClassifyRequest(), metadata=[("x-request-id", "mine-8")])
    assert refused.told["x-request-id"] == "mine-8"

    def told() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stack.log.read_text().splitlines() if '"mine-' in line]

    wait_until(lambda: len(told()) == 2, 5, "both calls are in the log, which is written after the answer")
    lines = told()
    assert [(line["request_id"], line["method"], line["route"], line["status"]) for line in lines] == [
        ("mine-7", "gRPC", CLASSIFY, "OK"),
        ("mine-8", "gRPC", CLASSIFY, "INVALID_ARGUMENT"),
    ]
    assert (lines[0]["model"], lines[0]["version"], lines[0]["sentences"]) == ("classifier", 2, 1)


def test_calls_are_counted_where_requests_are(stack: Stack, caller: Caller) -> None:
    def counted(status: str) -> float:
        series = f'classifier_requests_total{{model="classifier",route="{CLASSIFY}",status="{status}"}} '
        lines = stack.client.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))

    before, refused = counted("OK"), counted("INVALID_ARGUMENT")
    for _ in range(5):
        caller.classify("cat")
    caller.classify("")
    assert (counted("OK"), counted("INVALID_ARGUMENT")) == (before + 5, refused + 1)


def test_no_call_of_these_tests_left_a_trace_of_an_accident(stack: Stack, caller: Caller) -> None:
    assert labels_of(caller.classify("cat"))
    log = stack.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log
