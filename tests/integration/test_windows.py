"""A text longer than the model reads is answered in windows as transformers and PyTorch do it, alone and in company."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from repository.inference import scores
from repository.manifest import Manifest, Precision, ProblemType
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.long_texts import Reference, text_of
from tests.tiny_models import WORDS
from tests.tiny_pipeline import export_checkpoint, write_tiny_base
from tests.unit.export.checkpoint.test_pairs import export, write_pair_checkpoint

LIMIT = 40
OVERLAP = 8
SETTINGS = {"LONG_TEXT": "windows", "WINDOW_OVERLAP": str(OVERLAP)}
# Tokenizers by word pieces, byte-level BPE and unigrams; and the first once more, cutting at the left.
KINDS = {"word-pieces": "bert", "bpe": "roberta", "unigram": "xlm-roberta", "left": "bert"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    found = {name: write_tiny_base(kind, folder / name) for name, kind in KINDS.items()}
    settings = found["left"] / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "truncation_side": "left"}))
    return {**found, "pairs": write_pair_checkpoint(folder / "pairs")}


@pytest.fixture(scope="module")
def stack(checkpoints: dict[str, Path]) -> Iterator[Stack]:
    """One Triton with all of them; `int8` is the checkpoint of `pairs`."""
    folder = checkpoints["pairs"].parent
    for name in KINDS:
        export_checkpoint(checkpoints[name], folder / f"{name}-version", "--precision", "fp32")
        publish(folder / "models", name, folder / f"{name}-version")
    for name, precision in {"classifier": Precision.FP32, "int8": Precision.INT8}.items():
        version = export(checkpoints["pairs"], folder / f"{name}-version", precision)
        publish(folder / "models", name, version)
    with Stack(folder / "models", folder / "log", **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, stack: Stack, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Reference]]:
    """A gateway with one of the tokenizers, and the checkpoint it serves."""
    log = tmp_path_factory.mktemp("log") / "gateway"
    with gateway_beside(stack, log, MODEL_NAME=request.param) as gateway:
        limit = Manifest.read(stack.repository / request.param / "1").max_length  # of RoBERTa's kind one less
        yield gateway, Reference(checkpoints[request.param], limit, OVERLAP)


def by_label(answer: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in answer}


def ask(client: httpx.Client, text: str, **params: str) -> httpx.Response:
    answer = client.get("/classify", params={"sentence": text, "top_k": "all", **params})
    assert answer.status_code == 200, answer.text
    return answer


def post(client: httpx.Client, **body: Any) -> httpx.Response:
    answer = client.post("/classify", json={"top_k": "all", **body})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("windows", [None, 2, 3, 8])
@pytest.mark.parametrize("is_full", [False, True], ids=["one-token", "full"])
def test_a_long_text_scores_as_the_mean_of_its_windows_in_pytorch(
    served: tuple[Gateway, Reference], windows: int | None, is_full: bool
) -> None:
    """The last window holds one token that no other does, or as many as it can."""
    gateway, reference = served
    room = reference.limit - 2
    before = room + (windows - 2) * (room - OVERLAP) if windows else 0
    text = text_of(reference.tokenizer, before + (room - OVERLAP * bool(windows) if is_full else 1))
    answer = ask(gateway.client, text)
    assert by_label(answer.json()) == pytest.approx(reference.scores(text), abs=1e-5)
    assert answer.headers.get("x-windows") == (windows and str(windows))
    assert "x-truncated" not in answer.headers
    cut = ask(gateway.client, text, long_text="truncate")
    assert cut.headers.get("x-truncated") == (windows and "true")
    assert "x-windows" not in cut.headers
    assert ask(gateway.client, text, truncate="false").content == answer.content


def test_a_long_text_changes_no_answer_beside_it(served: tuple[Gateway, Reference]) -> None:
    gateway, reference = served
    lengths = (3, 150, 20, reference.limit - 2, 90, 7)
    texts = [text_of(reference.tokenizer, length) for length in lengths]
    alone = [ask(gateway.client, text).json() for text in texts]
    together = post(gateway.client, sentences=texts)
    assert together.headers["x-windows"] == "2=5, 5=3"
    for one, other in zip(alone, together.json(), strict=True):
        assert by_label(other) == pytest.approx(by_label(one), abs=1e-6)
        assert [item["label"] for item in one] == [item["label"] for item in other]


@pytest.fixture(scope="module")
def int8(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with gateway_beside(stack, tmp_path_factory.mktemp("log") / "int8", MODEL_NAME="int8") as gateway:
        yield gateway.client


def raw(client: httpx.Client, text: str) -> dict[str, float]:
    """The logits of a text that fits, asked alone."""
    answer = client.post("/predict", json={"inputs": text, "raw_scores": True})
    assert answer.status_code == 200, answer.text
    return by_label(answer.json())


@pytest.mark.parametrize("join", ["mean", "max", "first-last"])
def test_windows_answered_together_are_bit_for_bit_those_asked_alone_in_int8(int8: httpx.Client, join: str) -> None:
    words = [WORDS[(7 * place) % len(WORDS)] for place in range(150)]
    room = LIMIT - 2
    starts = range(0, len(words) - OVERLAP, room - OVERLAP)
    windows = [raw(int8, " ".join(words[start : start + room])) for start in starts]
    labels = sorted(windows[0])
    logits = np.array([[window[label] for label in labels] for window in windows])
    joined = {"mean": logits.mean(axis=0), "max": logits.max(axis=0), "first-last": (logits[0] + logits[-1]) / 2}[join]
    text = " ".join(words)
    expected = dict(zip(labels, scores(joined, ProblemType.SINGLE_LABEL).tolist(), strict=True))
    assert by_label(ask(int8, text, window_join=join).json()) == expected
    crowd = [*WORDS[:20], text, *(f"{word} word7" for word in WORDS[:20]), text]
    found = post(int8, sentences=crowd, window_join=join)
    asked = 2 if join == "first-last" else len(windows)
    assert found.headers["x-windows"] == f"21={asked}, 42={asked}"
    assert by_label(found.json()[20]) == by_label(found.json()[41]) == expected


@pytest.mark.parametrize("longer", ["first", "second"])
def test_of_a_pair_the_longer_text_is_read_in_windows_beside_the_whole_of_the_other(
    stack: Stack, checkpoints: dict[str, Path], longer: str
) -> None:
    reference = Reference(checkpoints["pairs"], LIMIT, OVERLAP)
    pair = [" ".join(WORDS[:9]), " ".join(WORDS[9:75])][:: -1 if longer == "first" else 1]
    answer = ask(stack.client, pair[0], text_pair=pair[1])
    assert by_label(answer.json()) == pytest.approx(reference.scores(*pair, truncation=f"only_{longer}"), abs=1e-5)
    assert answer.headers["x-windows"] == "3"
    batch = post(stack.client, pairs=[["word1", "word2"], pair])
    assert batch.headers["x-windows"] == "2=3"
    assert by_label(batch.json()[1]) == pytest.approx(by_label(answer.json()), abs=1e-6)


def test_a_pair_of_two_long_texts_is_refused_with_what_to_do(stack: Stack) -> None:
    pair = [" ".join(WORDS[:40]), " ".join(WORDS[40:90])]
    for answer in (
        stack.client.get("/classify", params={"sentence": pair[0], "text_pair": pair[1]}),
        stack.client.post("/classify", json={"pairs": [pair]}),
    ):
        assert answer.status_code == 422
        assert "shorter text has 40 tokens, too many of the model's 40" in answer.json()["error"]
        assert "long_text=truncate" in answer.json()["error"]
    cut = ask(stack.client, pair[0], text_pair=pair[1], long_text="truncate")
    assert cut.headers["x-truncated"] == "true"


def test_tei_s_contract_stays_as_it_is(stack: Stack) -> None:
    text = " ".join(WORDS)
    refused = stack.client.post("/predict", json={"inputs": text})
    assert (refused.status_code, refused.json()["error_type"]) == (413, "Validation")
    cut = stack.client.post("/predict", json={"inputs": text, "truncate": True})
    assert (cut.headers["x-truncated"], cut.headers.get("x-windows")) == ("true", None)
    assert by_label(cut.json()) == pytest.approx(by_label(ask(stack.client, text, long_text="truncate").json()))
