"""Triton's own client, pointed at the gateway: text in, labels and scores out."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import INFERENCE
from tests.integration.gateways import publish
from tests.integration.rpc import Caller, ModelInferRequest
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "música": "Art"}
SENTENCES = ["cat oak cat", "la música 🐈", "oak", "nothing known"]
LABELS = sorted(set(WORDS.values()))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("inference")
    publish(folder / "repository", "classifier", write_version(folder / "1", {**WORDS, "cat": "Old"}, weight=1.0))
    publish(folder / "repository", "classifier", write_version(folder / "2", WORDS, weight=1.0))
    publish(folder / "repository", "topics", write_version(folder / "topics", {"cat": "Pets", "oak": "Trees"}))
    (port,) = free_ports(1)
    settings = {"MODEL_NAMES": "classifier,topics,none", "GRPC_PORT": str(port), "MAX_SENTENCES": "100"}
    with Stack(folder / "repository", folder / "log", **settings) as running:
        running.ports["GRPC_PORT"] = port
        wait_until(lambda: client_of(running).is_model_ready("topics"), 30, "both are ready")
        yield running


def client_of(stack: Stack) -> Any:
    return triton.InferenceServerClient(f"127.0.0.1:{stack.ports['GRPC_PORT']}")


@pytest.fixture(scope="module")
def client(stack: Stack) -> Any:
    return client_of(stack)


def tensor(sentences: list[str], column: bool = False, module: Any = triton) -> Any:
    values = np.array([sentence.encode() for sentence in sentences], dtype=object)
    found = module.InferInput("text", [len(sentences), 1] if column else [len(sentences)], "BYTES")
    found.set_data_from_numpy(values.reshape(-1, 1) if column else values)
    return found


@pytest.mark.parametrize("column", [False, True])
def test_tritons_client_gets_the_labels_and_scores_of_http(stack: Stack, client: Any, column: bool) -> None:
    by_http = stack.client.post("/classify", json={"sentences": SENTENCES, "top_k": 0}).json()
    answer = client.infer("classifier", [tensor(SENTENCES, column)], request_id="mine")
    labels, scores = answer.as_numpy("label"), answer.as_numpy("scores")
    assert [label.decode() for label in labels] == [found[0]["label"] for found in by_http]
    assert scores.shape == (len(SENTENCES), len(LABELS))
    response = answer.get_response()
    order = json.loads(answer.get_output("scores").parameters["labels"].string_param)
    assert order == LABELS
    for row, found in zip(scores, by_http, strict=True):
        assert dict(zip(order, row.tolist(), strict=True)) == {one["label"]: one["score"] for one in found}
    assert (response.model_name, response.model_version, response.id) == ("classifier", "2", "mine")


def test_models_and_versions_are_asked_by_their_names(client: Any) -> None:
    def label(model: str, version: str = "") -> bytes:
        found: bytes = client.infer(model, [tensor(["cat"])], model_version=version).as_numpy("label")[0]
        return found

    assert [label("classifier"), label("classifier", "1"), label("topics"), label("")] == [
        b"Animal", b"Old", b"Pets", b"Animal"
    ]  # fmt: skip


def test_contents_that_are_listed_are_answered_so(stack: Stack) -> None:
    request = ModelInferRequest(model_name="classifier", id="7")
    request.inputs.add(name="text", datatype="BYTES", shape=[2]).contents.bytes_contents.extend([b"cat", b"oak"])
    request.outputs.add(name="label")
    reply = Caller(stack.ports["GRPC_PORT"]).infer("ModelInfer", request).reply
    assert not reply.raw_output_contents
    assert [(each.name, list(each.contents.bytes_contents)) for each in reply.outputs] == [
        ("label", [b"Animal", b"Plant"])
    ]


def test_what_is_ready_and_what_a_model_takes_is_told(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    ready = {"classifier": True, "topics": True, "none": False, "unheard of": False}
    assert {name: client.is_model_ready(name) for name in ready} == ready
    assert {number: client.is_model_ready("classifier", number) for number in ("1", "2", "3")} == {
        "1": True, "2": True, "3": False
    }  # fmt: skip
    assert client.get_server_metadata().name == "text-classifier-server"
    described = client.get_model_metadata("classifier", as_json=True)
    assert described["versions"] == ["2", "1"]
    assert described["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": ["-1"]}]
    assert described["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": ["-1"]},
        {"name": "scores", "datatype": "FP32", "shape": ["-1", "3"]},
    ]


@pytest.mark.parametrize(
    ("model", "version", "sentences", "status", "words"),
    [
        ("unheard of", "", ["cat"], "NOT_FOUND", "No model of that name"),
        ("none", "", ["cat"], "UNAVAILABLE", "no usable version of none"),
        ("classifier", "7", ["cat"], "NOT_FOUND", "Version 7 is not served"),
        ("classifier", "newest", ["cat"], "INVALID_ARGUMENT", "'newest' is no number"),
        ("classifier", "", ["cat", " "], "INVALID_ARGUMENT", "Sentence 2 is empty"),
        ("classifier", "", ["cat"] * 101, "INVALID_ARGUMENT", "at most 100 are taken"),
    ],
)
def test_mistakes_have_a_code_and_a_sentence(
    client: Any, model: str, version: str, sentences: list[str], status: str, words: str
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, [tensor(sentences)], model_version=version)
    assert status in refused.value.status()
    assert words in refused.value.message()


def test_other_tensors_are_refused(client: Any) -> None:
    ids = triton.InferInput("input_ids", [1, 2], "INT64")
    ids.set_data_from_numpy(np.zeros((1, 2), dtype=np.int64))
    with pytest.raises(InferenceServerException, match="one input, `text`; the request has input_ids"):
        client.infer("classifier", [ids])
    with pytest.raises(InferenceServerException, match="has the outputs label and scores"):
        client.infer("classifier", [tensor(["cat"])], outputs=[triton.InferRequestedOutput("logits")])
    with pytest.raises(InferenceServerException, match="not served"):
        client.get_model_metadata("classifier", "9")


async def many_at_once(port: int, count: int) -> list[Any]:
    async with triton_aio.InferenceServerClient(f"127.0.0.1:{port}") as client:

        async def one(place: int) -> Any:
            sentence = "cat " * (1 + place % 7) if place % 2 else "oak " * (1 + place % 5)
            answer = await client.infer("classifier", [tensor([sentence], module=triton_aio)])
            return answer.as_numpy("label")[0]

        return await asyncio.gather(*(one(place) for place in range(count)))


def test_many_calls_at_once_get_their_own_answers(stack: Stack) -> None:
    found = asyncio.run(many_at_once(stack.ports["GRPC_PORT"], 300))
    assert found == [b"Animal" if place % 2 else b"Plant" for place in range(300)]
    log = stack.log.read_text()
    assert "Traceback" not in log
    assert f'"route":"/{INFERENCE}/ModelInfer","status":"OK"' in log
