"""A version carries PyTorch's answers to a few sentences: where they come out otherwise, it is not used."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import onnx
import pytest

from repository.manifest import MODEL_FILE, TOKENIZER_FILE, Manifest
from repository.store import ModelStore
from tests.integration.gateways import gateway_beside
from tests.integration.stack import ROOT, Stack
from tests.integration.swapping import (
    SWAP_S,
    assert_failed,
    assert_undisturbed,
    new_store,
    own_answers,
    serving,
    state_of,
    traffic_at,
    until_answered,
    until_failed,
    write_model,
)
from tests.version_folders import write_golden, write_manifest
from tests.waiting import wait_until

SENTENCES = [" ".join(f"word{start + step}" for step in range(length)) for start, length in enumerate(range(1, 20))]
SENTENCES.append("word1 música 数学 😀")
OFF = "golden sentences are answered otherwise than by PyTorch"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return new_store(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def stack(store: ModelStore) -> Iterator[Stack]:
    with serving(store) as running:
        yield running


def write_checked_model(folder: Path, model: int, seed: int) -> Path:
    """A version whose golden answers are right."""
    write_model(folder, model, seed)
    write_golden(folder, SENTENCES)
    return folder


def change_graph(folder: Path) -> None:
    """As if another processor computed otherwise: the logits are those of other weights."""
    manifest = Manifest.read(folder)
    other = write_model(folder.parent / "other", 1, seed=99)
    shutil.copyfile(other / MODEL_FILE, folder / MODEL_FILE)
    write_manifest(folder, manifest.labels, manifest.max_length)


def change_tokenizer(folder: Path) -> None:
    """As if another `tokenizers` split otherwise: each word gets the id of the one after it."""
    manifest = Manifest.read(folder)
    path = folder / TOKENIZER_FILE
    path.write_text(path.read_text().replace('"word59"', '"word0"').replace('"word58"', '"word59"'))
    write_manifest(folder, manifest.labels, manifest.max_length)


def test_a_version_that_answers_its_golden_sentences_right_is_switched_to(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    number = store.numbers()[-1] + 1
    folder = write_checked_model(tmp_path / "good", 1, seed=number)
    own = {number - 1: own_answers(store.folder / str(number - 1)), number: own_answers(folder)}
    with traffic_at(stack) as traffic:
        until_answered(traffic, number - 1)
        assert store.publish(folder) == number
        until_answered(traffic, number)
    assert_undisturbed(traffic, own, stack)
    assert state_of(stack, number) == ("current", "")


def test_a_forced_export_shows_in_models(stack: Stack, store: ModelStore, tmp_path: Path) -> None:
    folder = write_checked_model(tmp_path / "forced", 0, seed=50)
    Manifest.read(folder).model_copy(update={"forced": ["1 labels change"]}).write(folder)
    number = store.publish(folder)
    wait_until(lambda: stack.version() == number, SWAP_S, "the forced version is current")
    forced = {version["version"]: version["forced"] for version in stack.client.get("/models").json()["versions"]}
    assert forced[number] == ["1 labels change"]
    assert forced[number - 1] == []


@pytest.mark.parametrize(
    ("change", "reason"), [(change_graph, OFF), (change_tokenizer, "are tokenized otherwise than at export")]
)
def test_a_version_that_answers_otherwise_than_pytorch_did_is_not_switched_to(
    stack: Stack, store: ModelStore, tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    current = store.numbers()[-1]
    off, mended = current + 1, current + 2
    change(write_checked_model(tmp_path / "off", 1, seed=off))
    own = {current: own_answers(store.folder / str(current))}
    with traffic_at(stack) as traffic:
        until_answered(traffic, current)
        shutil.copytree(tmp_path / "off", store.folder / str(off))  # `publish` would refuse it
        until_failed(stack, off, reason)
        for _ in range(15):  # it is tried again meanwhile
            time.sleep(0.1)
            assert_failed(stack, off, reason)
        assert traffic.versions == {current}
    assert_undisturbed(traffic, own, stack)
    store.retract(off)
    assert store.publish(write_checked_model(tmp_path / "good", 1, seed=mended)) == mended
    wait_until(lambda: stack.version() == mended, SWAP_S, "a good version is switched to")


def infer(stack: Stack, version: int) -> httpx.Response:
    """One sentence to a version in Triton itself, past the gateway."""
    inputs = [
        {"name": name, "datatype": "INT64", "shape": [1, 3], "data": [2, 5, 3] if name == "input_ids" else [1, 1, 1]}
        for name in ("input_ids", "attention_mask")
    ]
    url = f"http://127.0.0.1:{stack.ports['TRITON_HTTP_PORT']}/v2/models/classifier/versions/{version}/infer"
    return httpx.post(url, json={"inputs": inputs})


def test_after_a_restart_the_good_version_beside_one_that_is_off_is_served(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    change_graph(write_checked_model(tmp_path / "off", 1, seed=2))
    shutil.copytree(tmp_path / "off", store.folder / "2")
    with serving(store) as stack:  # both are there when Triton starts
        assert stack.version() == 1
        assert_failed(stack, 2, OFF)
        answer = infer(stack, 2)
        assert answer.status_code == 500
        assert OFF in answer.json()["error"]
        assert infer(stack, 1).status_code == 200


def test_a_graph_that_was_loaded_damaged_is_not_used_once_its_file_is_mended(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    """Weights of words that are in no golden sentence: only the file itself tells, and the mended one tells no more."""
    current = store.numbers()[-1]
    number = current + 1
    folder = write_model(tmp_path / "whole", 1, seed=number)
    write_golden(folder, ["word59"])
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    garble(damaged / MODEL_FILE)
    own = {current: own_answers(store.folder / str(current)), number: own_answers(folder)}
    with traffic_at(stack) as traffic:
        until_answered(traffic, current)
        shutil.copytree(damaged, store.folder / str(number))
        reason = "model.onnx is not the file that manifest.json describes"
        until_failed(stack, number, reason)
        wait_until(lambda: reason in infer(stack, number).text, SWAP_S, "Triton has loaded it and refuses to answer")
        shutil.copyfile(folder / MODEL_FILE, store.folder / str(number) / MODEL_FILE)
        until_answered(traffic, number)
    assert_undisturbed(traffic, own, stack)


def garble(path: Path) -> None:
    """Changes weights so that the graph can still be loaded."""
    content = bytearray(path.read_bytes())
    weights = max(onnx.load(path).graph.initializer, key=lambda each: len(each.raw_data)).raw_data
    place = content.index(weights)
    content[place : place + len(weights) // 2] = weights[: len(weights) // 2][::-1]
    path.write_bytes(content)


@contextlib.contextmanager
def triton(store: ModelStore, env: dict[str, str], log: Path) -> Iterator[None]:
    """`python -m server` alone, over this repository, on the ports in `env`."""
    command = [sys.executable, "-m", "server"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**env, "MODEL_REPOSITORY": str(store.folder.parent)}, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def test_a_version_that_answers_otherwise_after_triton_was_away_gives_way_to_the_one_before(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.publish(write_checked_model(tmp_path / "good", 1, seed=2))
    # Another machine, as far as the gateway can tell: the same versions, but the newest computes otherwise there.
    elsewhere = ModelStore(tmp_path / "elsewhere", "classifier")
    shutil.copytree(store.folder, elsewhere.folder)
    (elsewhere.folder / "2" / "golden.json").unlink()
    change_graph(elsewhere.folder / "2")
    stack = serving(store)  # never entered: its ports and environment
    with contextlib.ExitStack() as gateway_s, contextlib.ExitStack() as second:
        with triton(store, stack.env, tmp_path / "triton"):
            gateway = gateway_s.enter_context(gateway_beside(stack, tmp_path / "gateway"))
            assert gateway.client.get("/health/ready").json()["version"] == 2
        wait_until(lambda: not gateway.is_ready(), 20, "the gateway notices that Triton is away")
        second.enter_context(triton(elsewhere, stack.env, tmp_path / "triton-elsewhere"))
        wait_until(gateway.is_ready, 60, "the gateway is ready again")
        assert gateway.client.get("/health/ready").json()["version"] == 1
        reasons = {found["version"]: found["reason"] for found in gateway.client.get("/models").json()["versions"]}
        assert OFF in reasons[2]
