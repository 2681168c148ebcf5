"""`POST /feedback` on the running service: kept, counted once, found by every worker and after a restart."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from repository.feedback import read_feedback
from repository.location import S3Location
from repository.manifest import ProblemType
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.test_service import new_store
from tests.s3_server import CREDENTIALS, environment, s3_server
from tests.version_folders import write_version
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """Its own gateway takes no feedback."""
    repository = new_store(folder).folder.parent
    words = {"red": "Colour", "two": "Number", "big": "Size"}
    publish(repository, "several", write_version(folder / "several", words, problem_type=ProblemType.MULTI_LABEL))
    publish(repository, "number", write_version(folder / "number", {"one": "n"}, problem_type=ProblemType.REGRESSION))
    with Stack(repository, folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def place(folder: Path) -> Path:
    return folder / "kept"


@pytest.fixture(scope="module")
def gateway(stack: Stack, folder: Path, place: Path) -> Iterator[Gateway]:
    with gateway_beside(stack, folder / "own.log", FEEDBACK=str(place), FEEDBACK_SENTENCES="true") as running:
        yield running


def ask(client: httpx.Client, sentence: str, **headers: str) -> str:
    """The id of an answer."""
    answer = client.get("/classify", params={"sentence": sentence}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


def give(client: httpx.Client, request_id: str, **right: object) -> httpx.Response:
    return client.post("/feedback", json={"id": request_id, **right})


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in place.rglob("feedback-*.jsonl") for line in path.read_text().splitlines()]


def test_it_says_how_to_switch_it_on(stack: Stack) -> None:
    answer = give(stack.client, ask(stack.client, "cat"), label="Plant")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("Feedback is off: set FEEDBACK to a folder")
    assert stack.client.get("/models").json()["feedback"] is False


def test_what_is_said_is_kept_with_what_was_answered(gateway: Gateway, place: Path) -> None:
    request_id = ask(gateway.client, '"cat oak cat"')
    answer = give(gateway.client, request_id, label="Plant")
    assert (answer.status_code, answer.json()) == (
        200,
        {"version": 1, "answered": ["Animal"], "right": False, "replaced": False},
    )
    (line,) = [line for line in lines(place) if line["id"] == request_id]
    assert line["sentence"] == "cat oak cat", "as it was read: without the quotes around it"
    assert (line["answered"], line["right"], line["is_right"]) == (["Animal"], ["Plant"], False)
    assert line["score"] == pytest.approx(0.982, abs=1e-3)
    assert (line["model"], line["version"], line["index"]) == ("classifier", 1, 0)


def test_the_last_word_counts_and_counts_once(gateway: Gateway, place: Path) -> None:
    request_id = ask(gateway.client, "oak")
    before = counted(gateway)
    assert give(gateway.client, request_id, label="Animal").json()["replaced"] is False
    assert give(gateway.client, request_id, label="Plant").json() == {
        "version": 1,
        "answered": ["Plant"],
        "right": True,
        "replaced": True,
    }
    assert give(gateway.client, request_id, label="Plant").json()["replaced"] is False, "it was said before"
    assert counted(gateway) == (before[0] + 1, before[1] + 1)
    assert len([line for line in lines(place) if line["id"] == request_id]) == 2
    found = read_feedback(place)
    assert [line.right for line in found.lines if line.id == request_id] == [["Plant"]]


def counted(gateway: Gateway) -> tuple[float, float]:
    metric = gateway.metric
    return metric('classifier_feedback_given{version="1"}'), metric('classifier_feedback_right{version="1"}')


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ({"label": "Stone"}, "has no label 'Stone': give one of Animal, Plant."),
        ({"labels": ["Animal", "Plant"]}, "give one, not 2"),
        ({"value": 1.5}, "answers with labels"),
        ({"label": "Plant", "index": 1}, "last sentence has index 0"),
        ({}, "give one of label, labels and value"),
        ({"label": "Plant", "value": 1}, "give one of label, labels and value"),
    ],
)
def test_what_cannot_be_right_is_refused_in_one_line(gateway: Gateway, right: dict[str, Any], words: str) -> None:
    answer = give(gateway.client, ask(gateway.client, "cat"), **right)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_an_answer_that_nobody_gave_is_not_found(gateway: Gateway) -> None:
    answer = give(gateway.client, "nobody-s-id", label="Plant")
    assert answer.status_code == 404
    assert "X-Request-ID" in answer.json()["error"]


def test_one_of_many_sentences_is_named_by_its_place(gateway: Gateway) -> None:
    answer = gateway.client.post("/classify", json={"sentences": ["cat", "oak", "cat cat"]})
    request_id = answer.headers["x-request-id"]
    refused = give(gateway.client, request_id, label="Plant")
    assert refused.status_code == 422
    assert "had 3 sentences: say by `index`" in refused.json()["error"]
    assert give(gateway.client, request_id, label="Plant", index=1).json()["right"] is True
    assert give(gateway.client, request_id, label="Plant", index=2).json()["right"] is False


def test_what_tei_s_clients_were_answered_can_be_judged_too(gateway: Gateway) -> None:
    answer = gateway.client.post("/predict", json={"inputs": "oak"}, headers={"X-Request-ID": "their-own.id"})
    assert answer.headers["x-request-id"] == "their-own.id"
    assert give(gateway.client, "their-own.id", label="Plant").json()["right"] is True


def test_accuracy_and_coverage_are_told_by_version(gateway: Gateway) -> None:
    wait_until(lambda: gateway.metric('classifier_feedback_given{version="1"}') > 0, 10, "it is counted")
    answers, (given, right) = gateway.metric('classifier_feedback_answers{version="1"}'), counted(gateway)
    accuracy = {
        bound: gateway.metric(f'classifier_feedback_accuracy{{bound="{bound}",version="1"}}')
        or gateway.metric(f'classifier_feedback_accuracy{{version="1",bound="{bound}"}}')
        for bound in ("observed", "lower", "upper")
    }
    assert 0 < given < answers
    assert accuracy["observed"] == pytest.approx(right / given)
    assert 0 < accuracy["lower"] < accuracy["observed"] < accuracy["upper"] < 1
    (version,) = gateway.client.get("/models").json()["versions"]
    told = version["feedback"]
    assert told["coverage"] == pytest.approx(told["given"] / told["answers"])


def test_a_model_of_several_labels_takes_a_list(stack: Stack, folder: Path) -> None:
    settings = {"MODEL_NAME": "several", "FEEDBACK": str(folder / "several-kept"), "THRESHOLD": "0.6"}
    with gateway_beside(stack, folder / "several.log", **settings) as gateway:
        request_id = ask(gateway.client, "red two")
        told = give(gateway.client, request_id, labels=["Number", "Colour"]).json()
        assert (sorted(told["answered"]), told["right"]) == (["Colour", "Number"], True)
        assert give(gateway.client, request_id, labels=[]).json()["right"] is False
        assert give(gateway.client, request_id, labels=["Shape"]).status_code == 422
        assert all("sentence" not in line for line in lines(folder / "several-kept")), "nobody allowed it to be kept"


def test_a_regression_takes_a_number(stack: Stack, folder: Path) -> None:
    settings = {"MODEL_NAME": "number", "FEEDBACK": str(folder / "number-kept")}
    with gateway_beside(stack, folder / "number.log", **settings) as gateway:
        request_id = ask(gateway.client, "one")
        told = give(gateway.client, request_id, value=1.0).json()
        assert told["right"] is None
        error = abs(told["answered"] - 1.0)
        name = 'classifier_feedback_error{version="1"}'
        wait_until(lambda: gateway.metric(name) == pytest.approx(error), 10, "the error is told")
        assert give(gateway.client, request_id, label="n").status_code == 422


def test_it_is_found_by_every_worker_by_another_gateway_and_after_a_kill(stack: Stack, folder: Path) -> None:
    place = folder / "shared"
    settings = {"FEEDBACK": str(place), "WORKERS": "2"}
    with (
        gateway_beside(stack, folder / "two.log", **settings) as two,
        gateway_beside(stack, folder / "one.log", FEEDBACK=str(place)) as one,
    ):
        for number in range(24):
            # Without a kept connection the kernel deals each request to one of both workers.
            with httpx.Client(base_url=f"http://127.0.0.1:{two.port}", timeout=60) as asking:
                request_id = ask(asking, "cat" if number % 2 else "oak")
            giving = one if number % 3 == 0 else two
            with httpx.Client(base_url=f"http://127.0.0.1:{giving.port}", timeout=60) as client:
                answer = give(client, request_id, label="Plant")
            assert answer.status_code == 200, answer.text
        late = ask(one.client, "oak")
        wait_until(lambda: one.metric('classifier_feedback_answers{version="1"}') == 25, 10, "all is written")
        one.process.send_signal(signal.SIGKILL)
        assert give(two.client, late, label="Plant").status_code == 200
        wait_until(lambda: counted(two) == (25, 13), 10, "both workers and both gateways count alike")
    found = lines(place)
    assert len({line["id"] for line in found}) == len(found) == 25
    with gateway_beside(stack, folder / "again.log", FEEDBACK=str(place)) as again:
        assert give(again.client, late, label="Animal").json()["replaced"] is True


def test_past_the_bound_it_is_refused_and_nothing_is_lost(stack: Stack, folder: Path) -> None:
    place = folder / "full"
    (place / "classifier").mkdir(parents=True)
    (place / "classifier" / "feedback-old.jsonl").write_bytes(b"x" * 999_990 + b"\n")
    with gateway_beside(stack, folder / "full.log", FEEDBACK=str(place), FEEDBACK_MAX_MB="1") as gateway:
        answer = give(gateway.client, ask(gateway.client, "cat"), label="Plant")
        assert answer.status_code == 507
        assert "FEEDBACK_MAX_MB" in answer.json()["error"]
        assert counted(gateway) == (0, 0)


def test_it_wants_a_key_where_answers_want_one(stack: Stack, folder: Path) -> None:
    settings = {"FEEDBACK": str(folder / "with-key"), "API_KEYS": "secret"}
    with gateway_beside(stack, folder / "key.log", **settings) as gateway:
        assert give(gateway.client, "any", label="Plant").status_code == 401
        gateway.client.headers["Authorization"] = "Bearer secret"
        assert give(gateway.client, ask(gateway.client, "oak"), label="Plant").status_code == 200


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(stack: Stack, folder: Path) -> None:
    (folder / "file").write_text("")
    log = folder / "refused.log"
    with (
        pytest.raises(AssertionError, match=r"FEEDBACK: .*cannot be written to"),
        gateway_beside(stack, log, FEEDBACK=str(folder / "file")),
    ):
        pass


def test_in_s3_it_is_brought_there_and_is_gone_here(stack: Stack, folder: Path) -> None:
    with s3_server(folder / "s3.log") as server:
        cache = folder / "cache"
        address = server.repository("said")
        settings = {**CREDENTIALS, "FEEDBACK": address, "FEEDBACK_UPLOAD_SECONDS": "0.3", "MODEL_CACHE": str(cache)}
        with gateway_beside(stack, folder / "s3-gateway.log", **settings, FEEDBACK_SENTENCES="true") as gateway:
            first = ask(gateway.client, "cat cat")
            assert give(gateway.client, first, label="Plant").status_code == 200
            wait_until(lambda: len(server.keys("said/classifier/feedback-")) == 1, 10, "it is brought to S3")
            wait_until(lambda: lines(cache) == [], 10, "it is gone here")
            last = ask(gateway.client, "oak oak")
            assert give(gateway.client, last, label="Plant").status_code == 200
            assert give(gateway.client, first, label="Animal").json()["replaced"] is True
        with environment(CREDENTIALS):  # a clean end brings the rest
            found = read_feedback(S3Location.parse(address))
        assert {(line.id, line.sentence, line.right[0]) for line in found.lines} == {  # type: ignore[index]
            (first, "cat cat", "Animal"),
            (last, "oak oak", "Plant"),
        }
