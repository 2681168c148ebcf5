"""Receipts of a running gateway are checked by `verify` against the repository: from a request to exit status 0."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.receipts.keys import make_key, public_file
from repository.manifest import ProblemType
from repository.store import ModelStore
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.swapping import samples
from tests.receipts import payload_of, verify
from tests.student_versions import cascade, write_with_student
from tests.tiny_exports import TEXTS, export, write_source
from tests.unit.export.checkpoint.test_pairs import export as export_pairs
from tests.unit.export.checkpoint.test_pairs import write_pair_checkpoint
from tests.version_folders import write_version
from tests.waiting import wait_until

LONG = " ".join(TEXTS)
WORDS = {f"word{number}": "animal" if number % 2 else "plant" for number in range(40)}
SURE = dict.fromkeys(list(WORDS)[:20], 9.0)
FEW = {"cat": "Animal", "oak": "Plant", "fig": "Fruit"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receipts")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """A BERT in float32, and beside it one in int8 and a model of each kind; all receipts are signed with one key."""
    source, repository = write_source(folder), folder / "repository"
    for model, precision in (("classifier", "fp32"), ("small", "int8")):
        export(source, folder / precision, "--precision", precision)
        publish(repository, model, folder / precision)
    publish(repository, "tags", write_version(folder / "tags", FEW, weight=1.0, problem_type=ProblemType.MULTI_LABEL))
    number = write_version(folder / "number", {"good": "stars"}, weight=1.25, problem_type=ProblemType.REGRESSION)
    publish(repository, "number", number)
    publish(repository, "pairs", export_pairs(write_pair_checkpoint(folder / "checkpoint"), folder / "pairs"))
    student = write_with_student(folder / "student", WORDS, SURE, cascade(temperature=1.5))
    publish(repository, "cascade", student).serve_students()
    make_key(folder / "key")
    with Stack(repository, folder / "log", RECEIPT_KEY=str(folder / "key")) as running:
        yield running


@pytest.fixture(scope="module")
def public(stack: Stack, folder: Path) -> Path:
    """The key as GET /receipts/key gives it."""
    path = folder / "key.json"
    path.write_text(stack.client.get("/receipts/key").text)
    return path


def checked(
    stack: Stack, public: Path, answer: httpx.Response, model: str, *options: str | Path, status: int = 0
) -> dict[str, Any]:
    """What `verify` finds of the one answer."""
    assert answer.status_code == 200, answer.text
    path = public.with_name("answer.json")
    path.write_text(answer.text)
    done = verify(path, "--key", public, "--repository", stack.repository, "--model", model, "--json", *options)
    assert done.status == status, (done.output, done.errors)
    (found,) = done.found()
    return found


def ask(client: httpx.Client, sentence: str, **options: str) -> httpx.Response:
    return client.get("/classify", params={"sentence": sentence, "receipt": "true", **options})


@pytest.mark.parametrize("sentence", [TEXTS[7], f'"{TEXTS[7]}"', "a", LONG])
def test_an_answer_with_its_receipt_is_the_same_bit_for_bit(stack: Stack, public: Path, sentence: str) -> None:
    answer = ask(stack.client, sentence)
    found = checked(stack, public, answer, "classifier", "--sentence", sentence, "--exact")
    assert (found["verdict"], found["largest_difference"]) == ("same", 0)
    stated = found["receipt"]
    assert stated["request_id"] == answer.headers["x-request-id"]
    assert stated["computed_by"]["provider"] == "cpu"
    assert "unknown" not in stated["computed_by"].values()
    assert (stated["cut_tokens"] > 0) == (sentence == LONG)
    # All but the receipt is as without one.
    plain = stack.client.get("/classify", params={"sentence": sentence})
    assert answer.json()["answer"] == plain.json()
    assert answer.headers.get("x-truncated") == plain.headers.get("x-truncated")


@pytest.mark.parametrize("model", ["classifier", "small"])
def test_answers_of_full_batches_are_the_same_bits_as_each_alone(
    stack: Stack, public: Path, tmp_path: Path, model: str
) -> None:
    """Whoever checks computes one text alone, on one thread; what was answered shared its call with others."""
    sentences = [*TEXTS, LONG]
    body = {"sentences": sentences, "receipt": True, "top_k": 2}
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME=model, DEADLINE_MS="60000") as gateway:
        gateway.client.timeout = 60
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: gateway.client.post("/classify", json=body), range(8)))
        assert {answer.status_code for answer in answers} == {200}
        batches = samples(gateway.client.get("/metrics").text, "classifier_batch_sentences_count")
        assert batches[frozenset()] < 8 * len(sentences) / 2
        assert gateway.metric("classifier_receipts_total") == 8 * len(sentences)
    (tmp_path / "answers.json").write_text(json.dumps([each for answer in answers for each in answer.json()]))
    (tmp_path / "texts.json").write_text(json.dumps({"sentences": sentences * 8}))
    options = ["--sentences", tmp_path / "texts.json", "--key", public, "--model", model]
    done = verify(tmp_path / "answers.json", *options, "--repository", stack.repository)
    assert done.status == 0, done
    assert done.output == f"{8 * len(sentences)} receipts: {8 * len(sentences)} bit for bit the same.\n"


@pytest.mark.parametrize(
    ("model", "sentence", "options"),
    [("tags", "cat oak fig", {}), ("tags", "cat", {"top_k": "all"}), ("tags", "stone", {}), ("number", "good bad", {})],
)
def test_other_kinds_of_models_give_receipts_too(
    stack: Stack, public: Path, tmp_path: Path, model: str, sentence: str, options: dict[str, str]
) -> None:
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME=model, THRESHOLD="0.4") as gateway:
        answer = ask(gateway.client, sentence, **options)
        assert checked(stack, public, answer, model, "--sentence", sentence)["verdict"] == "same"


def test_pairs_are_checked_as_pairs(stack: Stack, public: Path, tmp_path: Path) -> None:
    first, second = "word1 word2 word3", "word5 word6"
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME="pairs") as gateway:
        answer = ask(gateway.client, first, text_pair=second)
        checked(stack, public, answer, "pairs", "--sentence", first, "--text-pair", second)
        for other in ([f"{first} {second}"], [second, "--text-pair", first]):
            checked(stack, public, answer, "pairs", "--sentence", *other, status=6)
        body = {"pairs": [[first, second], [second, first]], "receipt": True}
        (tmp_path / "answer.json").write_text(gateway.client.post("/classify", json=body).text)
    (tmp_path / "body.json").write_text(json.dumps(body))
    options = ["--key", public, "--repository", stack.repository, "--model", "pairs"]
    assert verify(tmp_path / "answer.json", *options, "--sentences", tmp_path / "body.json").status == 0


@pytest.fixture(scope="module")
def of_student(stack: Stack, folder: Path) -> Iterator[Gateway]:
    with gateway_beside(stack, folder / "log-cascade", MODEL_NAME="cascade") as gateway:
        wait_until(
            lambda: gateway.metric("classifier_student_ready") == 1.0, 30, "the student answers its golden sentences"
        )
        yield gateway


def test_a_cascade_says_who_answered_and_is_computed_by_that_graph(
    stack: Stack, public: Path, of_student: Gateway
) -> None:
    for sentence, by in (("word1 word3", "student"), ("word31 word35", "model")):
        answer = ask(of_student.client, sentence)
        assert answer.headers["x-answered-by"] == by
        found = checked(stack, public, answer, "cascade", "--sentence", sentence, "--exact")
        assert found["receipt"]["answered_by"] == by


def test_a_receipt_survives_a_roll_back_and_names_what_is_gone(stack: Stack, public: Path, folder: Path) -> None:
    """The content of a version is what counts, not its number."""
    store = ModelStore(stack.repository, "tags")
    with gateway_beside(stack, folder / "log-tags", MODEL_NAME="tags") as gateway:
        answer = ask(gateway.client, "cat oak")
        store.publish(write_version(folder / "other-tags", FEW, weight=2.0, problem_type=ProblemType.MULTI_LABEL))
        assert store.republish(1) == 3
        store.retract(1)
        found = checked(stack, public, answer, "tags", "--sentence", "cat oak")
        assert "version 1 is not there any more; 3 has the same content" in found["said"][1]
        store.retract(3)
        found = checked(stack, public, answer, "tags", "--sentence", "cat oak", status=5)
        assert "version 1 is not in" in found["said"][-1]
        assert "it holds 2" in found["said"][-1]


def test_a_gateway_without_a_key_refuses_before_it_computes(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", RECEIPT_KEY="") as gateway:
        for answer in (
            ask(gateway.client, "a"),
            gateway.client.post("/classify", json={"sentences": ["a"], "receipt": True}),
        ):
            assert answer.status_code == 422
            assert "RECEIPT_KEY" in answer.json()["error"]
        assert gateway.client.get("/receipts/key").status_code == 404
        assert gateway.metric("classifier_sentences_total") == 0
        assert gateway.client.get("/classify", params={"sentence": "a"}).status_code == 200


def test_workers_sign_with_one_key_and_no_log_holds_it(
    stack: Stack, public: Path, tmp_path: Path, folder: Path
) -> None:
    with gateway_beside(stack, tmp_path / "log", WORKERS="2", API_KEYS="open") as gateway:
        assert gateway.client.get("/receipts/key").status_code == 401
        gateway.client.headers["Authorization"] = "Bearer open"
        assert gateway.client.get("/receipts/key").json() == json.loads(public.read_text())
        answers = [ask(gateway.client, TEXTS[place]) for place in range(6)]
        assert {payload_of(answer.json()["receipt"])["version"] for answer in answers} == {1}
        log = gateway.log.read_text() + stack.log.read_text()
    checked(stack, public, answers[5], "classifier", "--sentence", TEXTS[5])
    assert "Traceback" not in log
    for line in (folder / "key").read_text().splitlines()[1:-1]:
        assert line not in log
    assert answers[0].json()["receipt"][:60] not in log


def test_the_public_file_and_a_former_key_are_trusted_side_by_side(stack: Stack, tmp_path: Path, folder: Path) -> None:
    before = ask(stack.client, TEXTS[3])
    make_key(tmp_path / "new")
    with gateway_beside(stack, tmp_path / "log", RECEIPT_KEY=str(tmp_path / "new")) as gateway:
        after = ask(gateway.client, TEXTS[3])
    (tmp_path / "both.json").write_text(json.dumps([before.json(), after.json()]))
    (tmp_path / "texts").write_text(f"{TEXTS[3]}\n{TEXTS[3]}\n")
    common = [tmp_path / "both.json", "--sentences", tmp_path / "texts", "--repository", stack.repository]
    keys = ["--key", public_file(folder / "key"), "--key", public_file(tmp_path / "new")]
    assert verify(*common, *keys).status == 0
    one = verify(*common, *keys[:2])
    assert one.status == 4
    assert one.output.startswith("Receipt 2: Failed: the receipt is signed by key")
