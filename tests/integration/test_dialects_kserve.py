"""Triton's own HTTP client against the gateway: KServe's v2 protocol with texts in place of token ids."""

import asyncio
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_async
from tritonclient.utils import InferenceServerException

from tests.integration.dialects import MAX_SENTENCES, MODELS, MOODS, PRICE, TEXTS, TOPICS, dialects_stack, every_score
from tests.integration.stack import Stack

INFER = f"/v2/models/{TOPICS}/infer"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with dialects_stack(tmp_path_factory.mktemp("kserve")) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(stack.url.removeprefix("http://")) as asking:
        yield asking


def texts_input(texts: list[str], column: bool = False, binary: bool = True) -> triton.InferInput:
    values = np.array([text.encode() for text in texts], dtype=np.object_)
    values = values[:, None] if column else values
    given = triton.InferInput("text", list(values.shape), "BYTES")
    given.set_data_from_numpy(values, binary_data=binary)
    return given


def labels_of(client: triton.InferenceServerClient, model: str) -> list[str]:
    outputs = {each["name"]: each for each in client.get_model_metadata(model)["outputs"]}
    return list(outputs["scores"]["labels"])


def test_the_server_and_its_models_are_described(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    for model in MODELS:
        assert client.is_model_ready(model)
        assert client.is_model_ready(model, "1")
        metadata = client.get_model_metadata(model)
        assert (metadata["name"], metadata["versions"]) == (model, ["1"])
        assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        columns = 1 if model == PRICE else 3
        assert [each["shape"] for each in metadata["outputs"]] == [[-1], [-1, columns]]
        assert client.get_model_metadata(model, "1") == metadata
    assert not client.is_model_ready(TOPICS, "9")
    assert not client.is_model_ready("nothing")
    for asked in (("nothing", ""), (TOPICS, "9")):
        with pytest.raises(InferenceServerException) as refused:
            client.get_model_metadata(*asked)
        assert refused.value.status() == "404"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("binary", [True, False])
def test_texts_in_and_labels_and_scores_out(
    stack: Stack, client: triton.InferenceServerClient, model: str, column: bool, binary: bool
) -> None:
    asked = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("scores", "label")]
    found = client.infer(model, [texts_input(TEXTS, column, binary)], outputs=asked)
    names = labels_of(client, model)
    scores, best = found.as_numpy("scores"), found.as_numpy("label")
    assert scores.dtype == np.float32
    assert scores.shape == (len(TEXTS), len(names))
    assert best.shape == ((len(TEXTS), 1) if column else (len(TEXTS),))
    for text, row, label in zip(TEXTS, scores, best.ravel(), strict=True):
        expected = every_score(stack.client, text, model)
        assert dict(zip(names, row.tolist(), strict=True)) == {one["label"]: one["score"] for one in expected}
        assert (label.decode() if isinstance(label, bytes) else label) == expected[0]["label"]


def test_the_client_s_defaults_are_binary_both_ways_and_the_id_comes_back(
    client: triton.InferenceServerClient,
) -> None:
    found = client.infer(TOPICS, [texts_input(["猫", "дуб"])], request_id="my-own", model_version="1")
    assert [label.decode() for label in found.as_numpy("label")] == ["Animal", "Plant"]
    told = found.get_response()
    assert (told["id"], told["model_name"], told["model_version"]) == ("my-own", TOPICS, "1")
    assert all("data" not in output for output in told["outputs"])
    assert [output["parameters"]["binary_data_size"] for output in told["outputs"]] == [4 + 6 + 4 + 5, 2 * 3 * 4]
    assert "id" not in client.infer(TOPICS, [texts_input(["cat"])]).get_response()


def test_only_the_outputs_that_are_asked_for_come(client: triton.InferenceServerClient) -> None:
    asked = [triton.InferRequestedOutput("label", binary_data=False)]
    told = client.infer(TOPICS, [texts_input(["cat"])], outputs=asked).get_response()
    assert told["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [1], "data": ["Animal"]}]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_bodies_may_be_packed(client: triton.InferenceServerClient, coding: str, binary: bool) -> None:
    found = client.infer(
        TOPICS,
        [texts_input(["cat", "oak"], binary=binary)],
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert [label.decode() for label in found.as_numpy("label")] == ["Animal", "Plant"]


def test_the_asynchronous_client_and_calls_in_the_background_get_the_same(
    stack: Stack, client: triton.InferenceServerClient
) -> None:
    expected = client.infer(MOODS, [texts_input(TEXTS)]).as_numpy("scores")

    async def asked() -> Any:
        async with triton_async.InferenceServerClient(stack.url.removeprefix("http://")) as asking:
            assert await asking.is_model_ready(MOODS)
            return (await asking.infer(MOODS, [texts_input(TEXTS)])).as_numpy("scores")

    assert (asyncio.run(asked()) == expected).all()
    assert (client.async_infer(MOODS, [texts_input(TEXTS)]).get_result().as_numpy("scores") == expected).all()


def test_parameters_that_are_not_known_change_nothing(client: triton.InferenceServerClient) -> None:
    found = client.infer(TOPICS, [texts_input(["cat"])], priority=1, timeout=10, parameters={"mine": 1})
    assert found.as_numpy("label").tolist() == [b"Animal"]


def test_a_text_past_the_limit_is_cut_and_said_to_be(stack: Stack) -> None:
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat " * 40]}]}
    assert stack.client.post(INFER, json=body).headers["x-truncated"] == "true"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "input_ids"}, "unexpected inference input 'input_ids' for model 'topics'"),
        ({"datatype": "INT64"}, "data-type is 'INT64', but model 'topics' expects 'BYTES'"),
        ({"shape": [2]}, "has 1 elements, and its shape [2] has 2"),
        ({"shape": [1, 2]}, "unexpected shape [1, 2]"),
        ({"shape": []}, "unexpected shape []"),
        ({"shape": [0], "data": []}, "unexpected shape [0]"),
        ({"shape": [-1]}, "unexpected shape [-1]"),
        ({"data": [7]}, "inputs: give one"),
        ({"data": "cat"}, "inputs: give one"),
        ({"data": None}, "inputs: give one"),
        ({"parameters": {"shared_memory_region": "mine"}}, "shared memory"),
    ],
)
def test_an_input_that_is_not_the_texts_is_refused(stack: Stack, change: dict[str, Any], words: str) -> None:
    given = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat"], **change}
    assert words in refusal(stack.client.post(INFER, json={"inputs": [given]}), 400)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([{"name": "logits"}], "unexpected inference output 'logits' for model 'topics'"),
        ([{"name": "scores", "parameters": {"classification": 2}}], "classification extension"),
        ([{"name": "scores", "parameters": {"shared_memory_region": "mine"}}], "shared memory"),
    ],
)
def test_an_output_that_there_is_not_is_refused(stack: Stack, outputs: list[Any], words: str) -> None:
    given = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat"]}
    assert words in refusal(stack.client.post(INFER, json={"inputs": [given], "outputs": outputs}), 400)


def test_inputs_beside_the_texts_are_refused(stack: Stack) -> None:
    given = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat"]}
    assert "2 times" in refusal(stack.client.post(INFER, json={"inputs": [given, given]}), 400)
    assert "inputs" in refusal(stack.client.post(INFER, json={"inputs": []}), 400)


@pytest.mark.parametrize(("version", "status"), [("9", 404), ("0", 400), ("x", 400), ("1.5", 400), ("9" * 30, 400)])
def test_a_version_that_is_not_served_is_refused(
    client: triton.InferenceServerClient, version: str, status: int
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(TOPICS, [texts_input(["cat"])], model_version=version)
    assert refused.value.status() == str(status)
    assert not client.is_model_ready(TOPICS, version)


def test_a_model_that_is_not_served_is_refused(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="No model of that name") as refused:
        client.infer("nothing", [texts_input(["cat"])])
    assert refused.value.status() == "404"


HEAD = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 7}}]}
CAT = struct.pack("<I", 3) + b"cat"


def sent(stack: Stack, head: object, data: bytes, length: str | None = None, **headers: str) -> httpx.Response:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    declared = {"Inference-Header-Content-Length": length or str(len(text))}
    return stack.client.post(INFER, content=text + data, headers={**declared, **headers})


def test_binary_data_is_read_whatever_type_the_body_says_it_has(stack: Stack) -> None:
    for media_type in ("application/octet-stream", "application/json", "", "application/vnd.sagemaker-triton"):
        answer = sent(stack, HEAD, CAT, **{"Content-Type": media_type})
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["data"] == ["Animal"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (CAT[:-1], "does not fit the 6 bytes"),
        (CAT + b"x", "1 bytes behind"),
        (struct.pack("<I", 4) + b"cat", "ends within an element"),
        (struct.pack("<I", 2**32 - 1) + b"cat", "ends within an element"),
        (struct.pack("<I", 0) + b"cat", "within the length"),
        (struct.pack("<I", 3) + b"c\xff\xfe", "is not UTF-8"),
    ],
)
def test_binary_data_that_is_broken_is_refused(stack: Stack, data: bytes, words: str) -> None:
    assert words in refusal(sent(stack, HEAD, data), 400)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "٣", "9" * 30, "100000", "3"])
def test_a_length_of_the_json_that_cannot_be_is_refused(stack: Stack, length: str) -> None:
    headers = {b"Inference-Header-Content-Length": length.encode()}
    answer = stack.client.post(INFER, content=json.dumps(HEAD).encode() + CAT, headers=list(headers.items()))
    assert refusal(answer, 400)


@pytest.mark.parametrize("size", [-1, "7", None, 7.0, True, 2**70])
def test_a_size_of_binary_data_that_cannot_be_is_refused(stack: Stack, size: object) -> None:
    head = {"inputs": [{**HEAD["inputs"][0], "parameters": {"binary_data_size": size}}]}
    assert "binary_data_size" in refusal(sent(stack, head, CAT), 400)


@pytest.mark.parametrize("head", [b"", b"{", b"[]", b'"x"', b'{"inputs": 3}', b'{"inputs": [3]}', b"[" * 9000])
def test_json_that_is_no_request_is_refused(stack: Stack, head: bytes) -> None:
    assert refusal(sent(stack, head, b""), 400)


def test_the_number_of_texts_is_bounded_before_all_are_read(stack: Stack) -> None:
    many = struct.pack("<I", 0) * 4000
    head = {"inputs": [{**HEAD["inputs"][0], "parameters": {"binary_data_size": len(many)}}]}
    assert f"more than {MAX_SENTENCES} texts" in refusal(sent(stack, head, many), 400)


def test_a_packed_body_is_bounded_by_what_it_becomes(stack: Stack) -> None:
    plain = json.dumps(HEAD).encode() + CAT + b"\0" * 1_000_000
    for coding, packed in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
        headers = {"Inference-Header-Content-Length": "9", "Content-Encoding": coding}
        assert "longer than" in refusal(stack.client.post(INFER, content=packed, headers=headers), 413)
    assert "br" in refusal(sent(stack, HEAD, CAT, **{"Content-Encoding": "br"}), 415)


def refusal(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal, in Triton's shape."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])
