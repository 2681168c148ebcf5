"""The contract of the running service: answers, mistakes, crashes, and a clean end."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from repository.store import ModelStore
from tests.integration.stack import PORT_SETTINGS, ROOT, Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

NATURE = {"cat": "Animal", "oak": "Plant"}


def new_store(folder: Path) -> ModelStore:
    store = ModelStore(folder / "repository", "classifier")
    store.folder.mkdir(parents=True)
    config = (ROOT / "model_repository" / "classifier" / "config.pbtxt").read_text()
    (store.folder / "config.pbtxt").write_text(config)
    store.publish(write_version(folder / "nature", NATURE))
    return store


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("service")
    with Stack(new_store(folder).folder.parent, folder / "log") as running:
        yield running


@pytest.fixture
def own_store(tmp_path: Path) -> ModelStore:
    return new_store(tmp_path)


@pytest.fixture
def own_stack(own_store: ModelStore, tmp_path: Path) -> Iterator[Stack]:
    """One for a test that ends its processes."""
    with Stack(own_store.folder.parent, tmp_path / "log") as running:
        yield running


def test_an_answer_is_a_list_of_one_label_and_its_score(stack: Stack) -> None:
    answer = stack.classify("cat cat oak")
    assert answer.status_code == 200
    assert answer.json() == [{"label": "Animal", "score": pytest.approx(0.9820138, abs=1e-6)}]
    assert answer.headers["x-model-version"] == "1"


@pytest.mark.parametrize("quoted", ['"cat oak cat"', "'cat oak cat'", ' "cat oak cat" '])
def test_surrounding_quotes_change_nothing(stack: Stack, quoted: str) -> None:
    assert stack.classify(quoted).json() == stack.classify("cat oak cat").json()


def test_a_long_sentence_is_cut_at_the_model_s_limit(stack: Stack) -> None:
    # The limit is 16 tokens, so that the oaks past the fourteenth word are never seen.
    assert stack.classify("cat " * 14 + "oak " * 1000).json() == stack.classify("cat " * 14).json()


@pytest.mark.parametrize("blank", ["", " ", "\n\t", '""', "\u200b", "\u00a0\u2003", "\x00"])
def test_a_sentence_without_a_visible_character_is_refused(stack: Stack, blank: str) -> None:
    answer = stack.classify(blank)
    assert answer.status_code == 422
    assert "at least one visible character" in answer.json()["error"]


def test_a_missing_sentence_is_refused(stack: Stack) -> None:
    answer = stack.client.get("/classify")
    assert answer.status_code == 422
    assert "sentence" in answer.json()["error"]


@pytest.mark.parametrize("text", ["😀 cat", "قطة cat", "e\u0301 cat", "<b>cat</b> cat", "a\x00b cat"])
def test_odd_characters_are_only_characters(stack: Stack, text: str) -> None:
    assert stack.classify(text).json()[0]["label"] == "Animal"


@pytest.mark.parametrize("raw", ["%ED%A0%80 cat", "%ff%fe cat", "%E2%82 cat"])
def test_bytes_that_are_no_utf8_are_replaced(stack: Stack, raw: str) -> None:
    answer = stack.client.get("/classify?sentence=" + raw.replace(" ", "%20"))
    assert answer.status_code == 200
    assert answer.json()[0]["label"] == "Animal"


@pytest.mark.parametrize("size", [65_000, 65_600, 130_000])
def test_a_sentence_past_64_kib_is_read_whole(stack: Stack, size: int) -> None:
    status, _, body = get(stack, "/classify?sentence=cat%20" + "a" * (size - 4))
    assert status == 200
    assert json.loads(body)[0]["label"] == "Animal"


@pytest.mark.parametrize("size", [140_000, 300_000, 10_000_000])
def test_a_sentence_that_is_too_long_is_answered_in_a_sentence(stack: Stack, size: int) -> None:
    status, content_type, body = get(stack, "/classify?sentence=" + "a" * size)
    assert status in (413, 414)
    assert content_type == "application/json"
    assert "at most" in json.loads(body)["error"] or "longer than" in json.loads(body)["error"]
    assert stack.classify("cat").status_code == 200


def test_noise_on_the_port_is_answered_in_json(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.ports["GATEWAY_PORT"]), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'{"error"' in answer


def test_openapi_describes_the_contract(stack: Stack) -> None:
    paths = stack.client.get("/openapi.json").json()["paths"]
    assert {"/classify", "/health/live", "/health/ready"} <= set(paths)
    assert stack.client.get("/docs").status_code == 200


def test_the_service_comes_back_when_triton_is_killed(own_stack: Stack) -> None:
    (triton,) = own_stack.processes("tritonserver")
    os.kill(triton, signal.SIGKILL)
    wait_until(lambda: own_stack.classify("cat").status_code == 503, 5, "503 while Triton is away")
    refused = own_stack.classify("cat")
    if refused.status_code == 503:
        assert refused.headers["retry-after"] == "1"
        assert "try again" in refused.json()["error"]
    assert own_stack.client.get("/health/live").status_code == 200
    wait_until(lambda: own_stack.classify("cat").status_code == 200, 20, "Triton is back")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_leaves_no_process(own_stack: Stack, number: signal.Signals) -> None:
    assert len(own_stack.processes()) >= 4  # launcher, Triton, its stub, gateway
    assert own_stack.stop(number) == 0
    assert own_stack.processes() == []


@pytest.mark.parametrize("setting", PORT_SETTINGS)
def test_a_port_in_use_is_named(own_store: ModelStore, tmp_path: Path, setting: str) -> None:
    stack = Stack(own_store.folder.parent, tmp_path / "log")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # see `free_ports`
        taken.bind(("127.0.0.1", stack.ports[setting]))
        taken.listen()
        ended = subprocess.run(
            [sys.executable, "-m", "launcher"], cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=30
        )
    assert ended.returncode == 2
    assert f"port {stack.ports[setting]} is in use" in ended.stderr
    assert setting in ended.stderr


def test_without_triton_the_gateway_lives_and_says_what_is_missing(tmp_path: Path) -> None:
    stack = Stack(tmp_path, tmp_path / "log")
    with subprocess.Popen([sys.executable, "-m", "gateway"], cwd=ROOT, env=stack.env) as gateway:
        try:
            wait_until(lambda: answers(stack.client), 20, "the gateway answers")
            ready = stack.client.get("/health/ready")
            assert ready.status_code == 503
            assert "Triton does not answer" in ready.json()["error"]
            assert stack.classify("cat").status_code == 503
            assert stack.classify(" ").status_code == 422
        finally:
            gateway.send_signal(signal.SIGTERM)


def get(stack: Stack, target: str) -> tuple[int, str | None, bytes]:
    """Status, content type and body; by the standard library, since httpx sends no URL past 64 KiB."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["GATEWAY_PORT"], timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False
