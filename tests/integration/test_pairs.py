"""A pair of texts sent to the service scores as in transformers' pipeline, alone and beside single sentences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from tests.integration.gateways import gateway_beside, publish
from tests.integration.stack import Stack
from tests.unit.export.checkpoint.test_pairs import TEXTS, export, write_pair_checkpoint

TEXT_OR_PAIR = [
    ["word1 word2 word3 word4", "word5 word6"],
    ["word7 word8 word9"],
    ["word5 word6", "word1 word2 word3 word4"],
    [TEXTS[3], TEXTS[9]],
    [TEXTS[3]],
    [" ".join(TEXTS[:8]), " ".join(TEXTS[8:24])],  # longer than the model reads
]


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_checkpoint(tmp_path_factory.mktemp("pairs") / "checkpoint")


@pytest.fixture(scope="module")
def stack(checkpoint_folder: Path) -> Iterator[Stack]:
    folder = checkpoint_folder.parent
    publish(folder / "repository", "classifier", export(checkpoint_folder, folder / "version"))
    left = write_pair_checkpoint(folder / "left-checkpoint", truncation_side="left")
    publish(folder / "repository", "left", export(left, folder / "left-version"))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def expected(checkpoint_folder: Path) -> list[dict[str, float]]:
    """The pipeline's scores by label, for each text or pair."""
    asked = pipeline("text-classification", model=str(checkpoint_folder), top_k=None)
    texts = [{"text": texts[0], **({"text_pair": texts[1]} if texts[1:] else {})} for texts in TEXT_OR_PAIR]
    return [by_label(asked(text, truncation=True)) for text in texts]


def by_label(answer: list[dict[str, Any]]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in answer}


def test_each_pair_scores_as_in_the_pipeline(stack: Stack, expected: list[dict[str, float]]) -> None:
    for texts, scores in zip(TEXT_OR_PAIR, expected, strict=True):
        answer = stack.client.post("/predict", json={"inputs": texts, "truncate": True})
        assert by_label(answer.json()) == pytest.approx(scores, abs=1e-5), texts


def test_pairs_and_single_texts_of_one_batch_keep_their_scores(stack: Stack, expected: list[dict[str, float]]) -> None:
    answer = stack.client.post("/predict", json={"inputs": TEXT_OR_PAIR * 4, "truncate": True}).json()
    assert len(answer) == 4 * len(expected)
    for found, scores in zip(answer, expected * 4, strict=True):
        assert by_label(found) == pytest.approx(scores, abs=1e-5)


def test_the_two_texts_of_a_pair_are_not_one(stack: Stack) -> None:
    first, second = TEXT_OR_PAIR[0]
    pair = by_label(stack.client.post("/predict", json={"inputs": [first, second]}).json())
    swapped = by_label(stack.client.post("/predict", json={"inputs": [second, first]}).json())
    assert max(abs(pair[label] - swapped[label]) for label in pair) > 1e-3


def test_a_model_whose_tokenizer_cuts_at_the_left_is_served_so(stack: Stack, tmp_path: Path) -> None:
    folder = stack.repository.parent / "left-checkpoint"
    asked = pipeline("text-classification", model=str(folder), top_k=None)
    first, second = " ".join(TEXTS[:20]), " ".join(TEXTS[20:])
    alone = by_label(asked({"text": first}, truncation=True))
    pair = by_label(asked({"text": first, "text_pair": second}, truncation=True))
    with gateway_beside(stack, tmp_path / "log", MODEL_NAME="left") as gateway:
        answer = gateway.client.get("/classify", params={"sentence": first, "top_k": "all"})
        assert by_label(answer.json()) == pytest.approx(alone, abs=1e-5)
        assert answer.headers["x-truncated"] == "true"
        for inputs, expected in ((first, alone), ([first, second], pair)):
            answer = gateway.client.post("/predict", json={"inputs": inputs, "truncate": True})
            assert by_label(answer.json()) == pytest.approx(expected, abs=1e-5)
        body = {"inputs": first, "truncate": True, "truncation_direction": "Right"}
        right = by_label(gateway.client.post("/predict", json=body).json())
        assert max(abs(right[label] - alone[label]) for label in alone) > 1e-3
