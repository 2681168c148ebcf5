"""`POST /predict` against the contract of text-embeddings-inference, whose clients must work unchanged."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from repository.manifest import MODEL_FILE
from repository.store import ModelStore
from tests.integration.stack import ROOT, Stack
from tests.version_folders import SPECIAL, write_graph, write_manifest, write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "void": "Plant"}
LABELS = ["Animal", "Plant"]
VOTES = {"cat": [4.0, 0.0], "oak": [0.0, 4.0], "void": [np.nan, np.nan]}
MAX_SENTENCES = 4
KEY = "open-sesame"

CAT = [{"label": "Animal", "score": pytest.approx(0.9820138)}, {"label": "Plant", "score": pytest.approx(0.0179862)}]
OAK = [{"label": "Plant", "score": pytest.approx(0.9820138)}, {"label": "Animal", "score": pytest.approx(0.0179862)}]
TIE = [{"label": "Animal", "score": pytest.approx(0.5)}, {"label": "Plant", "score": pytest.approx(0.5)}]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model that reads 16 tokens, two of them special, and gives no number for a sentence with `void`."""
    folder = tmp_path_factory.mktemp("tei")
    version = write_version(folder / "version", WORDS)
    write_graph(version / MODEL_FILE, np.array([[0.0, 0.0]] * len(SPECIAL) + [*VOTES.values()], dtype=np.float32))
    write_manifest(version, LABELS)
    store = ModelStore(folder / "repository", "classifier")
    store.folder.mkdir(parents=True)
    config = (ROOT / "model_repository" / "classifier" / "config.pbtxt").read_text()
    (store.folder / "config.pbtxt").write_text(config)
    store.publish(version)
    with Stack(store.folder.parent, folder / "log", MAX_SENTENCES=str(MAX_SENTENCES)) as running:
        yield running


@pytest.fixture(scope="module")
def lone_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway that asks for a key, has no Triton, and lets two sentences wait."""
    folder = tmp_path_factory.mktemp("lone")
    stack = Stack(folder, folder / "log", API_KEYS=KEY, MAX_WAITING="2")
    with subprocess.Popen([sys.executable, "-m", "gateway"], cwd=ROOT, env=stack.env) as gateway:
        try:
            wait_until(lambda: is_live(stack.client), 20, "the gateway answers")
            yield stack.client
        finally:
            gateway.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("cat", CAT),
        (["cat"], CAT),  # one text in a list is no batch
        (["cat", "oak"], TIE),  # nor are two: they are one pair, and the model reads both
        ([["cat"]], [CAT]),
        ([["cat"], ["oak"]], [CAT, OAK]),
        ([["cat", "oak"], ["oak", ""]], [TIE, OAK]),
        ([["oak"], ["cat", "oak"], ["cat"]], [OAK, TIE, CAT]),
    ],
)
def test_the_shape_of_the_answer_follows_that_of_the_inputs(stack: Stack, inputs: object, expected: object) -> None:
    answer = predict(stack.client, inputs=inputs)
    assert answer.status_code == 200
    assert answer.json() == expected
    assert answer.headers["x-model-version"] == "1"


def test_the_scores_are_those_of_classify(stack: Stack) -> None:
    classified = stack.client.get("/classify", params={"sentence": "cat cat oak", "top_k": "all"})
    assert predict(stack.client, inputs="cat cat oak").json() == classified.json()


def test_raw_scores_are_the_logits(stack: Stack) -> None:
    answer = predict(stack.client, inputs=[["cat oak oak"], ["cat", "cat"]], raw_scores=True)
    assert answer.json() == [
        [{"label": "Plant", "score": 8.0}, {"label": "Animal", "score": 4.0}],
        [{"label": "Animal", "score": 8.0}, {"label": "Plant", "score": 0.0}],
    ]


# The longest that fit: a pair has no special tokens in this tokenizer, so that it holds two words more.
@pytest.mark.parametrize("fitting", ["cat " * 14, ["cat " * 8, "oak " * 8], ["cat " * 15, "oak"]])
@pytest.mark.parametrize("truncation", [{}, {"truncate": False, "truncation_direction": "Left"}, {"truncate": None}])
def test_what_fits_is_never_refused(stack: Stack, fitting: object, truncation: dict[str, Any]) -> None:
    assert predict(stack.client, inputs=fitting, **truncation).status_code == 200


@pytest.mark.parametrize(
    ("inputs", "tokens"),
    [
        ("cat " * 15, 17),
        (["cat " * 8, "oak " * 9], 17),
        (["cat " * 500, "oak " * 300], 800),
        ([["cat"], ["oak", "cat " * 16]], 17),
    ],
)
@pytest.mark.parametrize("truncation", [{}, {"truncate": False}, {"truncate": None}])
def test_a_text_over_the_limit_is_refused_with_both_lengths(
    stack: Stack, inputs: object, tokens: int, truncation: dict[str, Any]
) -> None:
    answer = predict(stack.client, inputs=inputs, **truncation)
    assert_error(answer, 413, "Validation", f"has {tokens} tokens; the model takes at most 16")


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        ("cat " * 14 + "oak " * 90, "cat " * 14),
        # The longer side is cut first, until both are equally long: eight words each.
        (["cat " * 8 + "oak " * 90, "oak " * 90], ["cat " * 8, "oak " * 8]),
        (["cat " * 12 + "oak " * 90, "oak " * 4], ["cat " * 12, "oak " * 4]),
    ],
)
def test_truncation_cuts_at_the_right(stack: Stack, inputs: object, read: object) -> None:
    answer = predict(stack.client, inputs=inputs, truncate=True, truncation_direction="Right", raw_scores=True)
    assert answer.json() == predict(stack.client, inputs=read, raw_scores=True).json()
    assert answer.headers["x-truncated"] == "true"


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        ("oak " * 90 + "cat " * 14, "cat " * 14),
        (["oak " * 90 + "cat " * 8, "cat " * 90 + "oak " * 8], ["cat " * 8, "oak " * 8]),
        (["oak " * 90 + "cat " * 12, "oak " * 4], ["cat " * 12, "oak " * 4]),
        (["a " * 32_000 + "cat " * 8, "a " * 32_000 + "oak " * 8], ["cat " * 8, "oak " * 8]),
    ],
)
def test_truncation_cuts_at_the_left_where_that_is_asked_for(stack: Stack, inputs: object, read: object) -> None:
    answer = predict(stack.client, inputs=inputs, truncate=True, truncation_direction="Left", raw_scores=True)
    assert answer.json() == predict(stack.client, inputs=read, raw_scores=True).json()
    assert answer.headers["x-truncated"] == "true"


def test_callers_who_cut_at_different_ends_do_not_disturb_each_other(stack: Stack) -> None:
    text = "oak " * 90 + "cat " * 90

    def ask(number: int) -> object:
        direction = ("Left", "Right")[number % 2]
        return predict(stack.client, inputs=text, truncate=True, truncation_direction=direction).json()[0]["label"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == ["Animal", "Plant"] * 100


def test_the_longest_pair_that_is_taken_costs_no_more_than_two_texts(stack: Stack) -> None:
    # Cut as one, this pair would be kept as millions of pieces, in gigabytes.
    side = "a " * 32_000
    answer = stack.client.post("/predict", json={"inputs": [side, side], "truncate": True}, timeout=60)
    assert answer.json() == TIE
    assert answer.headers["x-truncated"] == "true"


@pytest.mark.parametrize("inputs", ["", [""], ["", ""], [["cat"], [""]], " \n"])
def test_a_text_without_a_visible_character_is_refused(stack: Stack, inputs: object) -> None:
    assert_error(predict(stack.client, inputs=inputs), 400, "Empty", "empty")


@pytest.mark.parametrize(
    "inputs",
    [
        *([], [[]], [["cat"], []]),
        *(["cat", "oak", "cat"], [["cat", "oak", "cat"]]),
        *(["cat", ["oak"]], [["cat"], "oak"]),
        *(None, 7, {"text": "cat"}, [7], ["cat", None], [["cat", 7]], [[["cat"]]]),
    ],
)
def test_inputs_of_another_shape_are_refused(stack: Stack, inputs: object) -> None:
    assert_error(predict(stack.client, inputs=inputs), 422, "Validation", "inputs: give a text, a pair")


@pytest.mark.parametrize(
    "wrong",
    [{"truncate": "true"}, {"raw_scores": None}, {"raw_scores": 1}, {"truncation_direction": "right"}],
)
def test_fields_of_another_type_are_refused(stack: Stack, wrong: dict[str, Any]) -> None:
    assert_error(predict(stack.client, inputs="cat", **wrong), 422, "Validation", next(iter(wrong)))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"inputs": "cat"', 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b"", 422),
        (b'"cat"', 422),
        (b"{}", 422),
        (b'{"inputs": "\\ud800 cat"}', 422),
        (b'{"inputs": ["cat", "\\ud800"]}', 422),
    ],
)
def test_a_body_that_is_no_request_is_refused(stack: Stack, body: bytes, status: int) -> None:
    answer = stack.client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert_error(answer, status, "Validation", "")


def test_unknown_fields_are_ignored_as_tei_ignores_them(stack: Stack) -> None:
    assert predict(stack.client, inputs="cat", parameters={"top_k": 1}, prompt_name=None).json() == CAT


def test_a_batch_over_the_bound_is_refused(stack: Stack) -> None:
    assert len(predict(stack.client, inputs=[["cat"]] * MAX_SENTENCES).json()) == MAX_SENTENCES
    answer = predict(stack.client, inputs=[["cat"]] * (MAX_SENTENCES + 1))
    assert_error(answer, 413, "Validation", "has 5 sentences; at most 4")


def test_a_model_that_fails_is_a_failed_backend(stack: Stack) -> None:
    assert_error(predict(stack.client, inputs=[["cat"], ["void"]]), 424, "Backend", "no finite number")
    assert 'classifier_rejected_requests_total{error="ModelFailed"}' in stack.client.get("/metrics").text


def test_other_routes_keep_the_gateway_s_own_errors(stack: Stack) -> None:
    assert stack.client.post("/classify", json={"sentences": []}).json().keys() == {"error"}


def test_without_triton_the_service_is_unhealthy(lone_gateway: httpx.Client) -> None:
    for inputs in ("cat", ["cat", "oak"]):
        answer = predict(lone_gateway, KEY, inputs=inputs)
        assert_error(answer, 503, "Unhealthy", "")
        assert answer.headers["retry-after"] == "1"


def test_too_much_at_once_is_an_overload(lone_gateway: httpx.Client) -> None:
    answer = predict(lone_gateway, KEY, inputs=[["cat"]] * 3)
    assert_error(answer, 429, "Overloaded", "Too busy")
    assert answer.headers["retry-after"] == "1"


def test_a_key_is_asked_for_as_on_every_route(lone_gateway: httpx.Client) -> None:
    answer = predict(lone_gateway, inputs="cat")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_hugging_face_s_own_client_reads_the_answer(stack: Stack) -> None:
    hub = pytest.importorskip("huggingface_hub")
    # A pipeline's answer is one list deeper than TEI's: of TEI's, this client returns the first label alone.
    best = hub.InferenceClient(f"{stack.url}/predict", token="none").text_classification("cat", top_k=2)
    assert (best.label, best.score) == ("Animal", pytest.approx(0.9820138))


def predict(client: httpx.Client, key: str | None = None, **body: object) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.post("/predict", json=body, headers=headers)


def assert_error(answer: httpx.Response, status: int, error_type: str, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json() == {"error": answer.json()["error"], "error_type": error_type}
    assert words in answer.json()["error"]


def is_live(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False
