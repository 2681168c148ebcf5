"""Several models behind one gateway: each is asked by its name, and what becomes of one is no other's business."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.config import ModelConfig
from repository.manifest import TOKENIZER_FILE
from repository.store import ModelStore
from tests.integration.callers import keep_asking
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.swapping import (
    assert_undisturbed,
    new_store,
    own_answers,
    samples,
    traffic_at,
    until_answered,
    write_model,
)
from tests.version_folders import write_version
from tests.waiting import wait_until

TOPICS = {"cat": "Animal", "oak": "Plant"}
LANGUAGES = {"cat": "English", "gato": "Spanish"}
DIED = "No model of that name is served here"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three models; the files of `broken` are not those of its manifest."""
    folder = tmp_path_factory.mktemp("models")
    repository = folder / "repository"
    publish(repository, "topics", write_version(folder / "topics", TOPICS, weight=1.0))
    publish(repository, "language", write_version(folder / "language", LANGUAGES, weight=1.0, report="<h1>How</h1>"))
    publish(repository, "language", write_version(folder / "language-2", {**LANGUAGES, "gato": "Galician"}))
    broken = ModelStore(repository, "broken")
    broken.folder.mkdir()
    broken.ensure_config(ModelConfig("broken").to_pbtxt())
    written = write_version(folder / "broken", TOPICS)
    with (written / TOKENIZER_FILE).open("a") as stream:
        stream.write("\n")
    written.rename(broken.folder / "1")  # past `publish`, which would refuse it
    with Stack(repository, folder / "log", MODEL_NAME="topics", MODEL_NAMES="topics, language,broken") as running:
        wait_until(lambda: current(running, "language") == 2, 30, "all models are ready")
        yield running


def current(stack: Stack | Gateway, name: str) -> int | None:
    models = {model["name"]: model for model in stack.client.get("/models").json()["models"]}
    found: int | None = models[name]["current"] if name in models else None
    return found


def test_a_request_is_answered_by_the_model_that_it_names_and_by_the_first_if_it_names_none(stack: Stack) -> None:
    client = stack.client
    for asked, label in (({}, "Animal"), ({"model": "topics"}, "Animal"), ({"model": "language"}, "English")):
        assert client.get("/classify", params={"sentence": "cat", **asked}).json()[0]["label"] == label
        many = client.post("/classify", json={"sentences": ["cat", "cat cat"], **asked})
        assert [labels[0]["label"] for labels in many.json()] == [label] * 2
        predicted = client.post("/predict", params=asked, json={"inputs": "cat"})
        assert predicted.json()[0]["label"] == label
        assert client.get("/models", params=asked).json()["model"] == asked.get("model", "topics")
        assert client.get("/health/ready", params=asked).json()["model"] == asked.get("model", "topics")
    older = client.get("/classify", params={"sentence": "gato", "model": "language", "version": 1})
    assert (older.headers["x-model-version"], older.json()[0]["label"]) == ("1", "Spanish")


def test_all_models_are_listed_with_what_they_do(stack: Stack) -> None:
    listed = stack.client.get("/models").json()["models"]
    assert [(model["name"], model["current"]) for model in listed] == [("topics", 1), ("language", 2), ("broken", None)]
    assert listed[0]["problem"] is None
    assert "no usable version of broken" in listed[2]["problem"]
    assert "manifest.json describes" in stack.client.get("/models?model=broken").json()["versions"][0]["reason"]


def test_a_report_is_had_by_the_address_that_its_models_list_gives(stack: Stack) -> None:
    versions = stack.client.get("/models", params={"model": "language"}).json()["versions"]
    addresses = [version["report"] for version in versions]
    assert addresses == [None, "/models/1/report?model=language"]
    assert "<h1>How</h1>" in stack.client.get(addresses[1]).text
    assert stack.client.get("/models/1/report").status_code == 404, "the first model's has none"


def test_a_model_that_is_not_served_is_refused_in_words(stack: Stack) -> None:
    client = stack.client
    for name in ("nothing", "", "topics.student", "../topics"):
        refused = [
            client.get("/classify", params={"sentence": "cat", "model": name}),
            client.post("/classify", json={"sentences": ["cat"], "model": name}),
            client.post("/predict", params={"model": name}, json={"inputs": "cat"}),
            client.get("/models", params={"model": name}),
            client.get("/models/1/report", params={"model": name}),
            client.get("/health/ready", params={"model": name}),
        ]
        assert {answer.status_code for answer in refused} == {404}
        assert all(answer.json()["error"].startswith(DIED) for answer in refused)
    assert client.post("/predict?model=nothing", json={"inputs": "cat"}).json()["error_type"] == "Validation"


def test_a_model_that_cannot_answer_says_so_for_itself_alone(stack: Stack) -> None:
    broken = stack.client.get("/classify", params={"sentence": "cat", "model": "broken"})
    assert (broken.status_code, broken.headers["retry-after"]) == (503, "1")
    assert stack.client.get("/health/ready", params={"model": "broken"}).status_code == 503
    assert stack.client.get("/health/ready").status_code == 200


def test_a_gateway_is_ready_while_any_of_its_models_is(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", MODEL_NAMES="broken,language") as gateway:
        ready = gateway.client.get("/health/ready").json()
        assert (ready["model"], ready["version"]) == ("language", 2)
        assert gateway.client.get("/classify", params={"sentence": "cat"}).status_code == 503, "the first is asked"


def test_what_is_counted_is_counted_by_model(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", MODEL_NAMES="topics,language,broken", WORKERS="2") as gateway:
        client = gateway.client
        wait_until(lambda: current(gateway, "language") == 2, 30, "both are ready")
        client.get("/classify", params={"sentence": "cat"})
        client.post("/classify", json={"sentences": ["cat", "gato"], "model": "language"})
        client.get("/classify", params={"sentence": "cat", "model": "broken"})
        text = client.get("/metrics").text
    assert 'classifier_sentences_total{model="topics"} 1.0' in text
    assert 'classifier_sentences_total{model="language"} 2.0' in text
    assert 'classifier_current_version{model="language"} 2.0' in text
    assert 'classifier_ready{model="broken"} 0.0' in text
    assert 'classifier_requests_total{model="broken",route="/classify",status="503"} 1.0' in text
    assert text.count("# TYPE classifier_ready gauge") == 1
    assert samples(text, "classifier_failed_version")
    assert '"model":"broken"' in (tmp_path / "log").read_text()


def test_each_model_is_pinned_by_itself(stack: Stack, tmp_path: Path) -> None:
    pinned = {"MODEL_NAMES": "topics,language", "MODEL_VERSION": "1", "MODEL_VERSIONS": "language=1"}
    with gateway_beside(stack, tmp_path / "log", **pinned) as gateway:
        wait_until(lambda: current(gateway, "language") == 1, 30, "the older one answers")
        assert current(gateway, "topics") == 1


def test_a_flood_for_one_model_keeps_no_other_from_answering(stack: Stack, tmp_path: Path) -> None:
    slow = {"cat": "Animal", "oak": "Plant"}
    publish(stack.repository, "slow", write_version(tmp_path / "slow", slow, layers=200))
    settings = {"MODEL_NAMES": "topics,slow", "TRITON_CALLS": "1", "BATCH_SENTENCES": "1"}
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway:
        wait_until(lambda: current(gateway, "slow") == 1, 30, "the slow one is ready")
        flood = {"sentences": ["cat " * 12] * 500, "model": "slow"}
        asked: list[int] = []

        async def both() -> None:
            busy = asyncio.create_task(asyncio.to_thread(lambda: gateway.client.post("/classify", json=flood)))
            await asyncio.sleep(0.1)
            load = await keep_asking(gateway.port, "cat", 4, lambda: busy.done() or len(asked) > 1000)
            asked.extend(reply.status for reply in load.replies)
            assert (await busy).status_code in (200, 503, 504)

        asyncio.run(both())
        assert asked
        assert set(asked) == {200}


def test_swaps_of_one_model_and_the_loss_of_another_change_no_answer_of_the_third(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    own = {1: own_answers(store.folder / "1")}
    repository = store.folder.parent
    swapped = publish(repository, "swapped", write_version(tmp_path / "swapped-1", TOPICS))
    publish(repository, "lost", write_version(tmp_path / "lost", TOPICS))
    settings = {"LOG_REQUESTS": "false", "MODEL_NAMES": "classifier,swapped,lost", "DEADLINE_MS": "30000"}
    with Stack(repository, tmp_path / "log", **settings) as stack:
        wait_until(lambda: {current(stack, name) for name in ("swapped", "lost")} == {1}, 30, "all are ready")
        with traffic_at(stack) as traffic:
            until_answered(traffic, 1)
            for number in (2, 3):
                swapped.publish(write_version(tmp_path / f"swapped-{number}", {**TOPICS, "cat": f"Cat {number}"}))
                wait_until(lambda wanted=number: current(stack, "swapped") == wanted, 30, "it is swapped")  # type: ignore[misc]
                asked = {"sentence": "cat", "model": "swapped"}
                assert stack.client.get("/classify", params=asked).json()[0]["label"] == f"Cat {number}"
            ModelStore(repository, "lost").retract(1)
            wait_until(lambda: current(stack, "lost") is None, 30, "it is gone")
            store.publish(write_model(tmp_path / "v2", 1, seed=2))
            own[2] = own_answers(store.folder / "2")
            until_answered(traffic, 2)
        assert_undisturbed(traffic, own, stack)


def test_every_model_of_the_repository_is_served_as_it_comes_and_goes(stack: Stack, tmp_path: Path) -> None:
    settings = {"MODEL_NAMES": "*", "MODEL_NAME": "topics", "REPOSITORY_POLL_SECONDS": "0.3", "DEADLINE_MS": "500"}
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway:
        wait_until(lambda: current(gateway, "language") == 2, 30, "what is there is served")
        assert gateway.client.get("/models").json()["models"][0]["name"] == "topics"
        late = publish(stack.repository, "late", write_version(tmp_path / "late", {"cat": "Late"}))
        wait_until(lambda: current(gateway, "late") == 1, 30, "what comes later, too")
        assert gateway.client.get("/classify?sentence=cat&model=late").json()[0]["label"] == "Late"
        shutil.rmtree(late.folder)
        gone = lambda: gateway.client.get("/classify?sentence=cat&model=late").status_code == 404  # noqa: E731
        wait_until(gone, 30, "what goes is forgotten")
        assert gateway.client.get("/classify?sentence=cat").status_code == 200
        assert "Traceback" not in (tmp_path / "log").read_text()
