"""Two models that have nothing in common, what each version of them answers by itself, and traffic that asks both."""

import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from prometheus_client.parser import text_string_to_metric_families

from repository.inference import load_tokenizer, pad_batch, scores
from repository.manifest import MODEL_FILE, Manifest
from repository.names import visible
from repository.store import ModelStore
from tests.integration.stack import ROOT, Stack
from tests.integration.traffic import Answer, Question, Traffic
from tests.version_folders import write_random_version
from tests.waiting import wait_until

WORDS = [f"word{number}" for number in range(60)]
# Two models that have nothing in common: the same word has another id, or none, and sentences are cut elsewhere.
MODELS: list[dict[str, Any]] = [
    {"words": WORDS[:45], "labels": ["Animal", "Plant"], "max_length": 16},
    {"words": WORDS[:14:-1], "labels": ["Business", "Ops [/api]", "[/]"], "max_length": 24},
]
SWAP_S = 20.0
LEAST_ASKED = 100

Score = tuple[str, float]
Own = Mapping[int, Mapping[str, Score]]


def some_questions() -> list[Question]:
    """320 sentences of 1 to 40 words by GET, and 40 requests for 2 to 8 of them by POST."""
    chance = random.Random(0)
    sentences = [" ".join(chance.choices(WORDS, k=1 + number % 40)) for number in range(320)]
    assert len(set(sentences)) > 300
    several = [Question(tuple(chance.sample(sentences, k=2 + number % 7))) for number in range(40)]
    questions = [Question((sentence,)) for sentence in sentences] + several
    chance.shuffle(questions)
    return questions


QUESTIONS = some_questions()


def write_model(folder: Path, model: int, seed: int) -> Path:
    """A version of one of the two models, with weights of its own."""
    return write_random_version(folder, **MODELS[model % 2], seed=seed)


def own_answers(folder: Path) -> dict[str, Score]:
    """What the version answers to each sentence alone: ONNX Runtime with the code that the export was checked with."""
    manifest = Manifest.read(folder)
    tokenizer = load_tokenizer(folder, manifest.max_length)
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    own = {}
    for sentence in {sentence for question in QUESTIONS for sentence in question.sentences}:
        logits = session.run(None, pad_batch([tokenizer.encode(sentence).ids], manifest.pad_token_id))[0]
        row = scores(logits, manifest.problem_type)[0]
        own[sentence] = (manifest.labels[int(row.argmax())], float(row.max()))
    return own


def is_own(answer: Answer, own: Own) -> bool:
    """Whether it is a 200 with what the version that it names answers to each of the sentences."""
    if answer.status != 200 or answer.version not in own:
        return False
    found = answer.json() if len(answer.question.sentences) > 1 else [answer.json()]
    expected = [own[answer.version][sentence] for sentence in answer.question.sentences]
    return len(found) == len(expected) and all(
        len(labels) == 1 and labels[0]["label"] == label and abs(labels[0]["score"] - score) <= 1e-6
        for labels, (label, score) in zip(found, expected, strict=True)
    )


def assert_undisturbed(traffic: Traffic, own: Own, stack: Stack) -> None:
    """Every answer is the named version's own, and the gateway's log tells of no accident."""
    wrong = {answer: count for answer, count in traffic.answers.items() if not is_own(answer, own)}
    assert not wrong, f"{sum(wrong.values())} of {traffic.asked} answers, such as {next(iter(wrong))}"
    assert traffic.asked > LEAST_ASKED
    log = stack.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log


def new_store(folder: Path) -> ModelStore:
    """Version 1 is of the first model."""
    store = ModelStore(folder / "repository", "classifier")
    store.folder.mkdir(parents=True)
    config = (ROOT / "model_repository" / "classifier" / "config.pbtxt").read_text()
    (store.folder / "config.pbtxt").write_text(config)
    store.publish(write_model(folder / "exported-1", 0, seed=1))
    return store


def serving(store: ModelStore, **settings: str) -> Stack:
    return Stack(store.folder.parent, store.folder.parent.parent / "log", LOG_REQUESTS="false", **settings)


def traffic_at(stack: Stack) -> Traffic:
    return Traffic(stack.ports["GATEWAY_PORT"], QUESTIONS)


def until_answered(traffic: Traffic, version: int) -> None:
    """Until the version has answered and, on a slow machine too, enough was asked to be called traffic."""
    wait_until(
        lambda: version in traffic.versions and traffic.asked > LEAST_ASKED,
        SWAP_S,
        f"version {version} answers, after {LEAST_ASKED} other requests",
    )


def state_of(stack: Stack, number: int) -> tuple[str, str]:
    """State and reason of a version in GET /models."""
    versions = {version["version"]: version for version in stack.client.get("/models").json()["versions"]}
    version = versions.get(number, {"state": "gone", "reason": None})
    return version["state"], version["reason"] or ""


def samples(text: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Labels and values of one metric in the text of GET /metrics, without the name of the only model."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        frozenset(label for label in sample.labels.items() if label[0] != "model"): sample.value
        for sample in found
        if sample.name == name
    }


def assert_failed(stack: Stack, number: int, reason: str) -> None:
    state, found = state_of(stack, number)
    assert state == "failed"
    assert reason in found
    metric = samples(stack.client.get("/metrics").text, "classifier_failed_version")
    assert metric == {frozenset({("version", str(number)), ("reason", visible(found))}): 1}


def until_failed(stack: Stack, number: int, reason: str) -> None:
    wait_until(lambda: reason in state_of(stack, number)[1], SWAP_S, f"version {number} failed: {reason}")
    assert_failed(stack, number, reason)


def manage(store: ModelStore, *arguments: str) -> None:
    """`python -m repository`, as a user calls it while the service runs."""
    command = [sys.executable, "-m", "repository", *arguments, "--repository", str(store.folder.parent)]
    subprocess.run(command, cwd=ROOT, check=True)
