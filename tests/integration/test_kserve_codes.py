"""What the gateway says of models and versions that it has not, or not yet: what Triton itself says, at both doors.

Each question is put to the real Triton, over HTTP and gRPC, and to the gateway before it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import message
from repository.config import ModelConfig
from repository.manifest import MODEL_FILE
from repository.store import ModelStore
from tests.integration.gateways import publish
from tests.integration.rpc import Caller, ModelInferRequest
from tests.integration.stack import Stack
from tests.version_folders import write_manifest, write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant"}
TOKENS = ("input_ids", "attention_mask")


class Door(NamedTuple):
    """A server's ports, and whether it is asked for tokens or for text."""

    http: int
    caller: Caller
    tokens: bool


def broken_version(folder: Path) -> Path:
    """A version whose files are those of its manifest, and that Triton cannot load."""
    version = write_version(folder, WORDS)
    (version / MODEL_FILE).write_bytes(b"no graph")
    write_manifest(version, sorted(set(WORDS.values())))
    return version


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("codes")
    repository = folder / "repository"
    publish(repository, "classifier", write_version(folder / "good", WORDS))
    lame = ModelStore(repository, "lame")
    lame.folder.mkdir()
    lame.ensure_config(ModelConfig("lame").to_pbtxt())
    broken_version(folder / "lame").rename(lame.folder / "1")
    (port,) = free_ports(1)
    with Stack(repository, folder / "log", MODEL_NAMES="classifier,lame", GRPC_PORT=str(port)) as running:
        running.ports["GRPC_PORT"] = port
        broken_version(folder / "broken").rename(repository / "classifier" / "2")
        for model, version in (("classifier", 2), ("lame", 1)):
            wait_until(lambda model=model, version=version: failed(running, model, version), 60, f"{model} failed")  # type: ignore[misc]
        yield running


def failed(stack: Stack, model: str, version: int) -> bool:
    """Whether the gateway knows that the version failed in Triton."""
    known = stack.client.get("/models", params={"model": model}).json()["versions"]
    return (version, "failed") in [(each["version"], each["state"]) for each in known]


@pytest.fixture(scope="module")
def doors(stack: Stack) -> Iterator[tuple[Door, Door]]:
    """The gateway's, and Triton's."""
    ports = stack.ports
    found = (
        Door(ports["GATEWAY_PORT"], Caller(ports["GRPC_PORT"]), tokens=False),
        Door(ports["TRITON_HTTP_PORT"], Caller(ports["TRITON_GRPC_PORT"]), tokens=True),
    )
    yield found
    for door in found:
        door.caller.channel.close()


def by_http(door: Door, question: str, model: str, version: str) -> int:
    """The status of the answer."""
    base = f"http://127.0.0.1:{door.http}/v2/models/{model}" + (f"/versions/{version}" if version else "")
    if question == "infer":
        text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["cat"]}
        tokens = [{"name": name, "datatype": "INT64", "shape": [1, 2], "data": [4, 5]} for name in TOKENS]
        return httpx.post(f"{base}/infer", json={"inputs": tokens if door.tokens else [text]}, timeout=30).status_code
    return httpx.get(base if question == "metadata" else f"{base}/ready", timeout=30).status_code


def by_grpc(door: Door, question: str, model: str, version: str) -> tuple[str, bool | None]:
    """The code of the answer, and whether the model is ready if that was asked."""
    if question == "infer":
        request: Any = ModelInferRequest(model_name=model, model_version=version)
        if door.tokens:
            for name in TOKENS:
                tensor = request.inputs.add(name=name, datatype="INT64", shape=[1, 2])
                tensor.contents.int64_contents.extend([4, 5])
        else:
            request.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"cat")
        return door.caller.infer("ModelInfer", request).code, None
    method = "ModelMetadata" if question == "metadata" else "ModelReady"
    outcome = door.caller.infer(method, message(f"inference.{method}Request")(name=model, version=version))
    return outcome.code, outcome.reply.ready if question == "ready" and outcome.code == "OK" else None


@pytest.mark.parametrize("question", ["infer", "metadata", "ready"])
@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("classifier", ""),
        ("classifier", "1"),
        ("unheard", ""),
        ("unheard", "1"),
        ("classifier", "7"),
        ("classifier", "2"),
        ("lame", "1"),
    ],
)
def test_the_gateway_says_what_triton_says(doors: tuple[Door, Door], question: str, model: str, version: str) -> None:
    own, tritons = doors
    assert by_http(own, question, model, version) == by_http(tritons, question, model, version)
    assert by_grpc(own, question, model, version) == by_grpc(tritons, question, model, version)


@pytest.mark.parametrize("question", ["infer", "metadata", "ready"])
def test_a_version_that_is_no_number_is_the_callers_mistake(doors: tuple[Door, Door], question: str) -> None:
    own, tritons = doors
    assert by_grpc(own, question, "classifier", "x") == by_grpc(tritons, question, "classifier", "x")
    assert by_http(own, question, "classifier", "x") == 400  # to Triton it is a path that it has not


@pytest.mark.parametrize("question", ["infer", "metadata"])
def test_a_model_that_cannot_answer_yet_is_one_to_ask_again(doors: tuple[Door, Door], question: str) -> None:
    """Here the gateway says what Triton says where a version is named; without one, Triton knows no such model."""
    own, tritons = doors
    assert (by_http(tritons, question, "lame", ""), by_grpc(tritons, question, "lame", "")[0]) == (404, "NOT_FOUND")
    assert (by_http(own, question, "lame", ""), by_grpc(own, question, "lame", "")[0]) == (503, "UNAVAILABLE")
    assert (by_http(own, "ready", "lame", ""), by_grpc(own, "ready", "lame", "")) == (400, ("OK", False))
