"""The service over a model repository in S3: published to while it answers, with uploads cut off and files damaged."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.config import ModelConfig
from repository.location import S3Location
from repository.manifest import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE
from repository.s3_store import S3Store
from tests.integration.stack import Stack
from tests.integration.swapping import (
    SWAP_S,
    assert_undisturbed,
    own_answers,
    state_of,
    traffic_at,
    until_answered,
    until_failed,
    write_model,
)
from tests.s3_server import CREDENTIALS, SECRET, S3Server, environment, s3_server
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with environment(CREDENTIALS), s3_server(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


@pytest.fixture
def store(server: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> S3Store:
    return new_s3_store(server, request.node.name, tmp_path)


def new_s3_store(server: S3Server, name: str, folder: Path) -> S3Store:
    """Version 1 is published."""
    store = S3Store(S3Location.parse(server.repository(name)), "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    store.publish(write_model(folder / "v1", 0, seed=1))
    return store


def serving(store: S3Store, folder: Path, **settings: str) -> Stack:
    """Triton and the gateway, each with a copy of its own below the folder."""
    return Stack(
        str(store.location).rpartition("/")[0],
        folder / "log",
        MODEL_CACHE=str(folder / "cache"),
        REPOSITORY_POLL_SECONDS="0.5",
        LOG_REQUESTS="false",
        **settings,
    )


def test_a_version_published_to_s3_takes_over_under_traffic(store: S3Store, tmp_path: Path) -> None:
    good = write_model(tmp_path / "v2", 1, seed=2)
    own = {1: own_answers(tmp_path / "v1"), 2: own_answers(good)}
    with serving(store, tmp_path) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            assert store.publish(good) == 2
            until_answered(traffic, 2)
        assert_undisturbed(traffic, own, stack)
        assert traffic.went_back == 0
        assert SECRET not in stack.log.read_text()
        known = stack.client.get("/models").json()["versions"]
    assert [(version["version"], version["state"]) for version in known] == [(2, "current"), (1, "ready")]
    assert known[0]["labels"] == ["Business", "Ops [/api]", "[/]"]


def test_an_upload_that_is_cut_off_and_one_that_is_damaged_are_never_served(
    store: S3Store, server: S3Server, tmp_path: Path
) -> None:
    own = {1: own_answers(tmp_path / "v1")}
    with serving(store, tmp_path) as stack:
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            upload(server, store, 2, write_model(tmp_path / "v2", 1, seed=2), without=MANIFEST_FILE)
            time.sleep(4)
            assert state_of(stack, 2)[0] == "gone"
            upload(server, store, 3, write_model(tmp_path / "v3", 1, seed=3), damaged=TOKENIZER_FILE)
            until_failed(stack, 3, "tokenizer.json is not the file that manifest.json describes")
            store.retract(3)
            wait_until(lambda: state_of(stack, 3)[0] == "gone", SWAP_S, "the damaged version is forgotten")
            upload(server, store, 4, write_model(tmp_path / "v4", 1, seed=4), damaged=MODEL_FILE)
            until_failed(stack, 4, "model.onnx is not the file that manifest.json describes")
            assert "s3://" not in stack.client.get("/models").text
        assert_undisturbed(traffic, own, stack)
        assert traffic.versions == {1}


def upload(server: S3Server, store: S3Store, number: int, exported: Path, without: str = "", damaged: str = "") -> None:
    """Publish a version as another tool might: its manifest last or not at all, or with a byte of one file changed."""
    for path in sorted(exported.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
        content = path.read_bytes()
        if path.name == damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if path.name != without:
            server.write(f"{store.location.prefix}/{number}/{path.name}", content)


def test_damaged_copies_are_fetched_again_and_s3_may_go_away(tmp_path: Path) -> None:
    with environment(CREDENTIALS):
        with s3_server(tmp_path / "s3.log") as server:
            store = new_s3_store(server, "service", tmp_path)
            own = {1: own_answers(tmp_path / "v1")}
            with serving(store, tmp_path) as stack:
                (tokenizer,) = tmp_path.glob(f"cache/gateway/**/1/{TOKENIZER_FILE}")
                (graph,) = tmp_path.glob(f"cache/triton/**/1/{MODEL_FILE}")
                contents = {path: path.read_bytes() for path in (tokenizer, graph)}
                with traffic_at(stack) as traffic:
                    until_answered(traffic, 1)
                    tokenizer.write_bytes(b"x" + contents[tokenizer][1:])
                    wait_until(lambda: tokenizer.read_bytes() == contents[tokenizer], SWAP_S, "it is mended")
                assert_undisturbed(traffic, own, stack)
            graph.write_bytes(b"x" + contents[graph][1:])
            with serving(store, tmp_path):
                assert graph.read_bytes() == contents[graph]
        with serving(store, tmp_path) as stack, traffic_at(stack) as traffic:  # S3 is away
            until_answered(traffic, 1)
        assert_undisturbed(traffic, own, stack)
    assert "serving the copy" in stack.log.read_text()
