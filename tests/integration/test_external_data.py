"""A version whose weights lie beside its graph is published, loaded and answered from by a real Triton, like any."""

from pathlib import Path

import pytest

from export.checkpoint.load import load_checkpoint
from export.parity.measure import reference_answers
from export.version.build import build_version
from repository.config import ModelConfig
from repository.inference import scores
from repository.manifest import MODEL_FILE, Precision
from repository.store import ModelStore
from tests.integration.stack import Stack
from tests.integration.swapping import SWAP_S
from tests.steps import no_step
from tests.tiny_models import write_architecture
from tests.waiting import wait_until

SENTENCES = ["budget plan", "learn spanish at school with a doctor", "a family trip"]
BESIDE, WITHIN = 100_000, 2**31
"""Limits of what is written into one file: far below the model's size, and far above."""


def export(folder: Path, precision: Precision, limit: int) -> dict[str, float]:
    """Write the version; returns the score of PyTorch's label for each sentence."""
    checkpoint = load_checkpoint(str(write_architecture(folder.parent / "checkpoint", "bert")))
    reference = reference_answers(checkpoint, SENTENCES, None, lambda _: None)
    build_version(checkpoint, precision, reference, SENTENCES, folder, no_step, embedded_limit_bytes=limit)
    best = scores(reference.logits, checkpoint.problem_type).max(axis=1)
    return dict(zip(SENTENCES, best.tolist(), strict=True))


def test_weights_beside_the_graph_are_served_and_swapped(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "repository", "classifier")
    expected = export(tmp_path / "version", Precision.FP32, BESIDE)
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    assert store.publish(tmp_path / "version") == 1
    assert (store.folder / "1" / f"{MODEL_FILE}.data").is_file()
    with Stack(store.folder.parent, tmp_path / "log") as stack:
        assert_answers(stack, expected)
        for number, precision, limit in ((2, Precision.FP16, BESIDE), (3, Precision.FP32, WITHIN)):
            export(tmp_path / "version", precision, limit)
            assert store.publish(tmp_path / "version") == number
            wait_until(lambda wanted=number: stack.version() == wanted, SWAP_S, f"version {number} answers")
            assert_answers(stack, expected)
    assert not (store.folder / "3" / f"{MODEL_FILE}.data").exists()


def assert_answers(stack: Stack, expected: dict[str, float]) -> None:
    for sentence, score in expected.items():
        (answer,) = stack.classify(sentence).json()
        assert answer["score"] == pytest.approx(score, abs=5e-3), sentence
