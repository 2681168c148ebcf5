"""A version that holds a student, served by a real Triton: published, swapped, audited, broken and taken back."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import onnxruntime
import pytest

from repository.cascade import STUDENT_FILE
from repository.inference import load_tokenizer, pad_batch, scores
from repository.manifest import MODEL_FILE, Manifest, digest_file
from repository.store import ModelStore
from tests.integration.gateways import gateway_beside
from tests.integration.stack import Stack
from tests.integration.swapping import new_store, samples, serving
from tests.integration.traffic import Question, Traffic
from tests.student_versions import cascade, write_with_student
from tests.version_folders import write_version
from tests.waiting import wait_until

READY_S = 30.0
WORDS = {f"word{number}": "animal" if number % 2 else "plant" for number in range(40)}
SURE = dict.fromkeys(list(WORDS)[:20], 9.0)
TEMPERATURE = 1.5
SENTENCES = [" ".join([word] * (1 + place % 7)) for place, word in enumerate(WORDS)]
# To the student, which is sure of the first.
KNOWN, UNKNOWN = SENTENCES[1], SENTENCES[30]
QUESTIONS = [Question((sentence,)) for sentence in SENTENCES]
QUESTIONS += [Question(tuple(SENTENCES[start : start + 5])) for start in range(30)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return new_store(tmp_path_factory.mktemp("cascade"))


@pytest.fixture(scope="module")
def stack(store: ModelStore) -> Iterator[Stack]:
    with serving(store, AUDIT_SHARE="1") as running:
        yield running


def write_cascade(folder: Path, sure: dict[str, float] = SURE) -> Path:
    """A version whose student is sure of half of the words."""
    return write_with_student(folder, WORDS, sure, cascade(temperature=TEMPERATURE), golden=SENTENCES[:10])


def publish(store: ModelStore, folder: Path, stack: Stack) -> int:
    """Publish a version and wait until it is current."""
    number = store.publish(folder)
    wait_until(lambda: stack.version() == number, READY_S, f"version {number} is current")
    return number


def student_of(stack: Stack) -> dict[str, Any]:
    """What GET /models says of the current version's student."""
    (current,) = [found for found in stack.client.get("/models").json()["versions"] if found["state"] == "current"]
    return current["student"] or {}


def until_student(stack: Stack, state: str) -> None:
    wait_until(lambda: student_of(stack).get("state") == state, READY_S, f"the student {state}")


def own_answers(folder: Path, graph: str, temperature: float = 1.0) -> dict[str, tuple[str, float]]:
    """What one graph of a version answers to each sentence alone."""
    manifest = Manifest.read(folder)
    tokenizer = load_tokenizer(folder, manifest.max_length)
    session = onnxruntime.InferenceSession(str(folder / graph), providers=["CPUExecutionProvider"])
    own = {}
    for sentence in SENTENCES:
        logits = session.run(None, pad_batch([tokenizer.encode(sentence).ids], manifest.pad_token_id))[0]
        row = scores(logits / temperature, manifest.problem_type)[0]
        own[sentence] = (manifest.labels[int(row.argmax())], float(row.max()))
    return own


def expected(folder: Path) -> dict[str, tuple[str, float]]:
    """What the cascade answers: the student where its confidence passes the bar, else the model."""
    block = Manifest.read(folder).cascade
    assert block is not None
    model = own_answers(folder, MODEL_FILE)
    student = own_answers(folder, STUDENT_FILE, block.temperature)
    return {s: student[s] if student[s][1] >= block.bars[0].bar else model[s] for s in SENTENCES}


def is_answer(found: dict[str, Any], answer: tuple[str, float]) -> bool:
    return found["label"] == answer[0] and abs(found["score"] - answer[1]) <= 1e-6


def answered_by(stack: Stack, sentence: str) -> str | None:
    answer = stack.classify(sentence)
    assert answer.status_code == 200
    return answer.headers.get("x-answered-by")


def test_a_version_without_a_student_names_nobody(stack: Stack) -> None:
    answer = stack.classify(KNOWN)
    assert answer.status_code == 200
    assert "x-answered-by" not in answer.headers
    assert student_of(stack) == {}


def test_a_student_answers_what_it_is_sure_of_alone_and_in_company(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    folder = write_cascade(tmp_path / "cascade")
    own = expected(folder)
    number = publish(store, folder, stack)
    until_student(stack, "answers")
    assert answered_by(stack, KNOWN) == "student"
    assert answered_by(stack, UNKNOWN) == "model"
    both = stack.client.post("/classify", json={"sentences": [KNOWN, UNKNOWN]})
    assert both.headers["x-answered-by"] == "both"
    with Traffic(stack.ports["GATEWAY_PORT"], QUESTIONS) as traffic:
        wait_until(lambda: traffic.asked > 2000, READY_S, "2000 requests")
    assert traffic.versions == {number}
    for answer in traffic.answers:
        assert answer.status == 200
        found = answer.json() if len(answer.question.sentences) > 1 else [answer.json()]
        for labels, sentence in zip(found, answer.question.sentences, strict=True):
            assert is_answer(labels[0], own[sentence]), (sentence, labels, own[sentence])
    assert "Traceback" not in stack.log.read_text()


def test_models_and_metrics_tell_of_the_student(stack: Stack) -> None:
    (current,) = [found for found in stack.client.get("/models").json()["versions"] if found["state"] == "current"]
    assert current["student"] == {"state": "answers", "reason": None, "bar": 0.9, "raised": 0}
    assert current["cascade"]["bars"][0]["answered"] == 600
    text = stack.client.get("/metrics").text
    by = samples(text, "classifier_answered_sentences_total")
    assert set(by) == {frozenset({("by", "student")}), frozenset({("by", "model")})}
    plain = frozenset()
    for name, value in {
        "classifier_student_ready": 1.0,
        "classifier_cascade_bar": 0.9,
        "classifier_cascade_delta": 0.005,
        "classifier_cascade_raised": 0.0,
        "classifier_cascade_disagreed_sentences_total": 0.0,
    }.items():
        assert samples(text, name) == {plain: value}
    # Every sentence was sampled; those that found the queue full were let go.
    audited, skipped = (
        samples(text, f"classifier_cascade_{name}_sentences_total")[plain] for name in ("audited", "skipped")
    )
    assert audited > 100
    assert sum(by.values()) - 256 <= audited + skipped <= sum(by.values())


def test_a_gateway_that_is_told_so_asks_no_student(stack: Stack, store: ModelStore, tmp_path: Path) -> None:
    own = own_answers(store.folder / str(store.numbers()[-1]), MODEL_FILE)
    with gateway_beside(stack, tmp_path / "log", CASCADE="false") as gateway:
        answer = gateway.client.get("/classify", params={"sentence": KNOWN})
        assert "x-answered-by" not in answer.headers
        assert is_answer(answer.json()[0], own[KNOWN])
        assert samples(gateway.client.get("/metrics").text, "classifier_student_ready") == {}


def test_a_student_only_answers_for_its_own_version(stack: Stack, store: ModelStore, tmp_path: Path) -> None:
    """Versions with and without a student follow each other under load; all words have other labels in the second."""
    first = publish(store, write_cascade(tmp_path / "first"), stack)
    other = {word: "stone" if label == "animal" else "water" for word, label in WORDS.items()}
    plain = write_version(tmp_path / "plain", other, weight=3.0)
    second = write_with_student(tmp_path / "second", other, dict.fromkeys(SURE, 7.0), golden=SENTENCES[:10])
    folders = {first: store.folder / str(first), first + 1: plain, first + 2: second}
    with Traffic(stack.ports["GATEWAY_PORT"], QUESTIONS) as traffic:
        for folder in (plain, second):
            number = publish(store, folder, stack)
            wait_until(lambda number=number: number in traffic.versions, READY_S, "it answers")
        until_student(stack, "answers")
        assert store.rollback(first) == (first, first + 3)
        wait_until(lambda: first + 3 in traffic.versions, READY_S, "the first one answers again")
        until_student(stack, "answers")
    folders[first + 3] = store.folder / str(first + 3)
    model = {number: own_answers(folder, MODEL_FILE) for number, folder in folders.items()}
    whole = {number: expected(folder) if number != first + 1 else model[number] for number, folder in folders.items()}
    assert traffic.versions == set(folders)
    for answer in traffic.answers:
        assert answer.status == 200, answer
        assert answer.version is not None
        found = answer.json() if len(answer.question.sentences) > 1 else [answer.json()]
        for labels, sentence in zip(found, answer.question.sentences, strict=True):
            # Until its student has answered its golden sentences, a version's model answers alone.
            candidates = (whole[answer.version][sentence], model[answer.version][sentence])
            assert any(is_answer(labels[0], candidate) for candidate in candidates), (answer, candidates)


def test_a_student_that_disagrees_is_switched_off_and_its_model_answers_on(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    wrong = dict.fromkeys(SURE, -9.0)  # it votes for the other label
    publish(store, write_cascade(tmp_path / "wrong", wrong), stack)
    own = own_answers(tmp_path / "wrong", MODEL_FILE)
    until_student(stack, "answers")
    with Traffic(stack.ports["GATEWAY_PORT"], QUESTIONS, connections=4):
        until_student(stack, "off")
    answer = stack.classify(KNOWN)
    assert "x-answered-by" not in answer.headers
    assert is_answer(answer.json()[0], own[KNOWN])
    text = stack.client.get("/metrics").text
    assert samples(text, "classifier_cascade_raised") == {frozenset(): 2.0}
    assert samples(text, "classifier_cascade_bar") == {frozenset(): 1.0}
    assert samples(text, "classifier_student_ready") == {frozenset(): 0.0}
    # The next version begins at its own bar.
    publish(store, write_cascade(tmp_path / "right"), stack)
    until_student(stack, "answers")


def test_a_student_that_answers_its_golden_sentences_wrong_is_not_asked(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    folder = write_cascade(tmp_path / "off")
    other = write_with_student(tmp_path / "other", WORDS, dict.fromkeys(SURE, 1.0))
    shutil.copyfile(other / STUDENT_FILE, folder / STUDENT_FILE)
    manifest = Manifest.read(folder)
    files = {**manifest.files, STUDENT_FILE: digest_file(folder / STUDENT_FILE)}
    manifest.model_copy(update={"files": files}).write(folder)
    number = store.numbers()[-1] + 1
    shutil.copytree(folder, store.folder / str(number))  # `publish` would refuse it
    store.serve_students()
    wait_until(lambda: stack.version() == number, READY_S, "the version is current all the same")
    wait_until(
        lambda: "golden sentences are answered otherwise" in (student_of(stack).get("reason") or ""), READY_S, "told"
    )
    assert student_of(stack)["state"] == "waits"
    assert answered_by(stack, KNOWN) is None
    store.retract(number)


def infer(stack: Stack, model: str, version: int) -> httpx.Response:
    inputs = [
        {"name": name, "datatype": "INT64", "shape": [1, 3], "data": [2, 5, 3] if name == "input_ids" else [1, 1, 1]}
        for name in ("input_ids", "attention_mask")
    ]
    url = f"http://127.0.0.1:{stack.ports['TRITON_HTTP_PORT']}/v2/models/{model}/versions/{version}/infer"
    return httpx.post(url, json={"inputs": inputs})


def test_triton_lets_the_student_go_with_the_last_version_that_has_one(
    stack: Stack, store: ModelStore, tmp_path: Path
) -> None:
    number = publish(store, write_cascade(tmp_path / "last"), stack)
    wait_until(lambda: infer(stack, "classifier.student", number).status_code == 200, READY_S, "it is served")
    for place in range(2):
        publish(store, write_version(tmp_path / f"plain-{place}", WORDS), stack)
    store.prune(2)
    assert not store.folder.with_name("classifier.student").exists()
    wait_until(lambda: infer(stack, "classifier.student", number).status_code != 200, READY_S, "it is gone")
    assert stack.classify(KNOWN).status_code == 200
